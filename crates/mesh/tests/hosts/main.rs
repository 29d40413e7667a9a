//! Meshes of real machines in small: each host is a network namespace with addresses of its own, and the real
//! `mesh` runs in it. One file a subject; `harness.rs` shows what the machinery can do.
//!
//! Each test is a process tree in namespaces of its own (`cell.rs`), run and bounded by `runner.rs`. Where
//! the machine doesn't allow namespaces, the tests are skipped, and the last line says so.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod admission;
mod asleep;
mod away;
mod cell;
mod clock;
mod cluster;
mod container;
mod dead;
mod faults;
#[path = "../shared/groups.rs"]
mod groups;
mod hardship;
mod harness;
mod host;
mod http;
mod lan;
mod learning;
mod load;
mod long;
mod net;
mod node;
mod overheard;
mod poison;
mod records;
mod recovery;
mod restarts;
mod runner;
mod secrets;
mod spread;
mod traces;
mod traffic;
mod usage;
mod workloads;

use std::process::ExitCode;

use runner::Test;

/// Every test, by subject.
const SUBJECTS: &[(&str, &[Test])] = &[
    ("harness", harness::TESTS),
    ("admission", admission::TESTS),
    ("away", away::TESTS),
    ("net", net::TESTS),
    ("records", records::TESTS),
    ("traffic", traffic::TESTS),
    ("recovery", recovery::TESTS),
    ("hardship", hardship::TESTS),
    ("dead", dead::TESTS),
    ("poison", poison::TESTS),
    ("long", long::TESTS),
    ("spread", spread::TESTS),
    ("overheard", overheard::TESTS),
    ("restarts", restarts::TESTS),
    ("secrets", secrets::TESTS),
    ("traces", traces::TESTS),
    ("asleep", asleep::TESTS),
    ("usage", usage::TESTS),
    ("learning", learning::TESTS),
    ("container", container::TESTS),
];

fn main() -> ExitCode {
    match cell::role() {
        cell::Role::Runner => runner::run(SUBJECTS),
        cell::Role::Init => cell::init(),
        cell::Role::Test(name) => runner::run_one(SUBJECTS, &name),
    }
}
