//! Jobs and workers.

use std::time::Duration;

use genome::Exit;
use genome::ReplicaState::{Completed, Launching, Ready};
use types::Workload;

use super::rig::{Rig, facts, release};
use crate::core::{Action, Adoption, Facts, Input};

fn portless() -> Facts {
    Facts { provides: Vec::new(), check: None, ..facts() }
}

fn of(workload: Workload, letter: &str) -> genome::Release {
    genome::Release { workload, ..release(letter) }
}

#[test]
fn a_job_runs_once_and_keeps_its_exit_as_a_record() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Job, "a"), 1);
    let id = rig.spawn_with(portless());
    assert_eq!(rig.state_of(&id), Some(Ready));
    rig.exit(&id, 0);
    assert_eq!(rig.state_of(&id), Some(Completed));
    assert_eq!(rig.records[&id.replica].exit, Some(Exit::Code(0)));
    rig.want(&of(Workload::Job, "a"), 1);
    rig.pass(Duration::from_secs(600));
    rig.asks_nothing();
    rig.want_nothing();
    assert!(rig.records.is_empty());
}

#[test]
fn that_a_job_is_done_is_written_down_before_its_process_is_forgotten() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Job, "a"), 1);
    let id = rig.spawn_with(portless());
    let actions =
        rig.handle(Input::Exited { id, exit: Some(Exit::Code(0)), cause: None, last_line: String::new() });
    let place = |which: fn(&Action) -> bool| actions.iter().position(which).unwrap();
    let (said, forgotten) = (
        place(|action| matches!(action, Action::Register(_))),
        place(|action| matches!(action, Action::Clean(_))),
    );
    assert!(said < forgotten, "{actions:?}");
}

#[test]
fn a_job_that_ends_before_it_is_known_to_run_is_done() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Job, "a"), 1);
    let id = rig.took_prepare();
    rig.tell(Input::Prepared(id.clone(), portless()));
    rig.took_spawn();
    rig.exit(&id, 0);
    rig.tell(Input::Spawned { id: id.clone(), pid: 7, port: 0 });
    assert_eq!(rig.took_kill(), id);
    assert_eq!(rig.state_of(&id), Some(Completed));
    rig.pass(Duration::from_secs(600));
    rig.asks_nothing();
}

#[test]
fn a_job_that_fails_is_tried_again() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Job, "a"), 1);
    for _ in 0..3 {
        let id = rig.spawn_with(portless());
        rig.exit(&id, 3);
        rig.pass(Duration::from_secs(5));
    }
    let id = rig.spawn_with(portless());
    rig.exit(&id, 0);
    assert_eq!(rig.state_of(&id), Some(Completed));
    assert_eq!(rig.records[&id.replica].restarts, 3);
}

#[test]
fn a_job_that_is_done_stays_done_when_the_mesh_stops_and_starts() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Job, "a"), 1);
    let id = rig.spawn_with(portless());
    rig.exit(&id, 0);
    rig.tell(Input::Shutdown);
    assert!(rig.core.is_idle());
    let endpoints = rig.records.values().cloned().collect();
    let mut next = Rig::unadopted();
    next.tell(Input::Adopt(Box::new(Adoption { endpoints, ..Adoption::default() })));
    next.want(&of(Workload::Job, "a"), 1);
    next.asks_nothing();
    next.want(&of(Workload::Job, "b"), 1);
    next.spawn_with(portless());
}

#[test]
fn a_new_release_of_a_job_waits_until_the_old_one_is_gone() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Job, "a"), 1);
    let old = rig.spawn_with(portless());
    rig.want(&of(Workload::Job, "b"), 1);
    let new = rig.took_prepare();
    rig.tell(Input::Prepared(new.clone(), portless()));
    assert_eq!(rig.took_stop(), old);
    rig.asks_nothing();
    rig.exit(&old, 0);
    assert_eq!(rig.spawn_prepared(), new);
    assert_eq!(rig.states(), [(0, Ready)]);
}

#[test]
fn a_worker_is_ready_when_it_has_lived_for_a_while() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Worker, "a"), 1);
    let id = rig.spawn_with(portless());
    rig.pass(Duration::from_millis(499));
    assert_eq!(rig.state_of(&id), Some(Launching));
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.state_of(&id), Some(Ready));
    // It was given a port, as one that exposes a metric is: whoever reads that finds it.
    assert!(rig.records[&id.replica].url.starts_with("http://127.0.0.1:"));
    rig.pass(Duration::from_secs(60));
    rig.asks_nothing();
}

#[test]
fn a_worker_that_dies_at_once_never_replaces_one_that_works() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Worker, "a"), 1);
    let blue = rig.spawn_with(portless());
    rig.pass(Duration::from_secs(1));
    rig.want(&of(Workload::Worker, "b"), 1);
    for _ in 0..2 {
        let green = rig.spawn_with(portless());
        rig.pass(Duration::from_millis(100));
        rig.exit(&green, 1);
    }
    assert_eq!(rig.state_of(&blue), Some(Ready));
    assert_eq!(rig.observed.len(), 1);
}

#[test]
fn a_worker_has_nothing_to_drain_and_leaves_after_the_warm_up() {
    let mut rig = Rig::new();
    rig.want(&of(Workload::Worker, "a"), 1);
    let blue = rig.spawn_with(portless());
    rig.pass(Duration::from_secs(1));
    rig.want(&of(Workload::Worker, "b"), 1);
    rig.spawn_with(portless());
    rig.pass(Duration::from_millis(2_499));
    rig.asks_nothing();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.took_stop(), blue);
}
