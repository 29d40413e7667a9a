//! `mesh deploy`: what runs, what is refused, what is rolled back.

use crate::support::{Place, session};

#[test]
fn a_plain_program_is_deployed_with_an_inferred_manifest() {
    let place = Place::new();
    let mesh = place.start("");
    let ran =
        place.mesh(&format!("deploy {} -env GREETING=ahoj", crate::support::workload("billing").display()));
    let ran = ran.good();
    assert!(ran.stdout.starts_with("billing v"), "{}", ran.shown());
    let answer = mesh.get("/billing/hello");
    assert!(answer.body.starts_with("ahoj"), "{answer:?}\n{}\n{}", ran.shown(), place.log());
}

#[test]
fn the_same_again_changes_nothing() {
    let place = Place::new();
    let _mesh = place.start("");
    let path = place.billing("v0.1.0");
    place.mesh(&format!("deploy {path}")).good();
    let pid = place.json("ps")[0]["pid"].clone();
    let again = place.mesh(&format!("deploy {path}")).good();
    assert!(again.stderr.contains("deployed already"), "{}", again.shown());
    assert_eq!(place.json("ps")[0]["pid"], pid);
}

#[test]
fn an_unknown_publisher_is_refused_and_runs_once_it_is_trusted() {
    let place = Place::new();
    let mesh = place.start("");
    let key = place.mesh("keys new stranger").good().stdout.trim().to_owned();
    let binary = crate::support::workload("billing");
    place.mesh(&format!("build -manifest billing.json -binary {} -key stranger", binary.display())).good();
    let refused = place.mesh("deploy out/billing-v0.1.0.spore").ended(4);
    let shown = place.json("keys show stranger");
    assert!(refused.stderr.contains(shown["fingerprint"].as_str().unwrap()), "{}", refused.shown());
    assert!(refused.stderr.contains(&format!("mesh trust add {key}")), "{}", refused.shown());
    let since = place.last_event();
    place.mesh(&format!("trust add {key}")).good();
    place.event(since, "the waiting plan is carried out", |event| event["kind"] == "endpoint-register");
    assert_eq!(mesh.get("/billing/hello").status, 200);
}

#[test]
fn a_spore_altered_in_the_repo_is_refused() {
    let place = Place::new();
    let _mesh = place.start("");
    let path = place.billing("v0.1.0");
    let digest = place.mesh(&format!("publish {path}")).good().stdout.trim().to_owned();
    let stored = place.state().join(format!("repo/{digest}.spore"));
    let mut bytes = std::fs::read(&stored).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&stored).unwrap();
    std::fs::write(&stored, bytes).unwrap();
    let ran = place.mesh(&format!("deploy {digest}")).ended(4);
    assert!(ran.stderr.contains("SHA-256"), "{}", ran.shown());
}

#[test]
fn a_release_that_fails_is_rolled_back_and_can_be_tried_again() {
    let place = Place::new();
    let mesh = place.start("-warmup 100ms");
    place.mesh(&format!("deploy {}", place.billing("v0.1.0"))).good();
    std::fs::copy(place.work().join("program"), place.work().join("bad")).unwrap();
    place.mesh("build -manifest billing.json -binary bad -tag v0.2.0").good();
    let ran = place.mesh("deploy out/billing-v0.2.0.spore").ended(5);
    assert!(ran.stderr.contains("rolled back to v0.1.0"), "{}", ran.shown());
    assert_eq!(mesh.get("/billing/hello").status, 200);
    let status = place.json("status");
    assert_eq!(status["apps"][0]["state"], "rolled-back");
    place.mesh("deploy out/billing-v0.2.0.spore").ended(5);
    place.mesh(&format!("deploy {}", place.billing("v0.3.0"))).good();
    let answer = mesh.get("/billing/hello");
    assert!(answer.body.contains("v0.3.0"), "{answer:?}");
}

#[test]
fn a_first_release_that_fails_says_so() {
    let place = Place::new();
    let _mesh = place.start("");
    let ran = place.mesh("deploy program").ended(1);
    assert!(ran.stderr.contains("mesh why program"), "{}", ran.shown());
    let why = place.json("why program");
    assert_eq!(why["state"], "degraded");
}

#[test]
fn no_wait_returns_at_once_and_a_time_limit_counts() {
    let place = Place::new();
    let _mesh = place.start("");
    place.write("slow", "#!/bin/sh\nexec sleep 1000\n");
    place.mesh("deploy slow -no-wait").good();
    place.mesh("stop slow").good();
    place.mesh("deploy slow -timeout 300ms").ended(6);
}

#[test]
fn ctrl_c_ends_the_watching_only() {
    let place = Place::new();
    let _mesh = place.start("");
    place.write("slow", "#!/bin/sh\nexec sleep 1000\n");
    let mut child =
        place.command().args(["deploy", "slow"]).stderr(place.append("deploy.log")).spawn().unwrap();
    place.event(0, "the start", |event| event["kind"] == "launch-start");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(place.json("status")["apps"][0]["wanted"], 1);
}

#[test]
fn a_key_that_is_no_operators_is_refused() {
    let place = Place::new();
    let _mesh = place.start("");
    place.mesh("keys new mallory").good();
    let path = place.billing("v0.1.0");
    let ran = place.mesh(&format!("deploy {path} -operator mallory")).ended(4);
    let other = place.mesh(&format!("deploy {path} -app other")).ended(2);
    insta::assert_snapshot!(session(&[ran, other]));
}

#[test]
fn what_can_not_be_run_is_refused_before_anything_is_written() {
    let place = Place::new();
    let _mesh = place.start("");
    place.write("notes.txt", "not a program");
    insta::assert_snapshot!(session(&[
        place.mesh("deploy notes.txt").ended(2),
        place.mesh("deploy program -env BAD").ended(2),
        place
            .run("deploy program -env 'A B=c'", place.command().args(["deploy", "program", "-env", "A B=c"])),
    ]));
    assert!(place.json("status")["apps"].as_array().unwrap().is_empty());
}
