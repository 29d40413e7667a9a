//! Crashes, failed probes, backoff and refusals.

use std::time::Duration;

use genome::ReplicaState::{Backoff, Draining, Launching, Pulling, Ready};
use telemetry::EventKind;

use super::rig::{Rig, facts, release};
use crate::core::{Input, NotSpawned, Observing, Probe, Unprepared};

fn serving() -> (Rig, crate::core::LaunchId) {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.serve();
    (rig, id)
}

#[test]
fn a_crash_takes_the_endpoint_away_and_the_first_restart_comes_at_once() {
    let (mut rig, id) = serving();
    rig.exit(&id, 1);
    assert_eq!(rig.state_of(&id), Some(Launching));
    let record = &rig.records[&id.replica];
    assert_eq!((record.url.as_str(), record.pid, record.restarts), ("", None, 1));
    assert_eq!(record.message, "exit status 1: the last line");
    let again = rig.serve();
    assert_eq!((again.replica, again.attempt), (id.replica.clone(), 2));
    let record = &rig.records[&id.replica];
    assert_eq!((record.state, record.message.as_str(), record.restarts), (Ready, "", 1));
}

#[test]
fn a_crash_loop_waits_longer_each_time_up_to_a_minute_and_never_gives_up() {
    let (mut rig, mut id) = serving();
    rig.exit(&id, 1);
    let mut waits = Vec::new();
    for _ in 0..10 {
        id = rig.serve();
        rig.exit(&id, 1);
        assert_eq!(rig.state_of(&id), Some(Backoff));
        let from = rig.now;
        let at = rig.core.deadline().unwrap();
        waits.push((at - from).as_secs_f64());
        rig.pass(at - from);
    }
    for (wait, base) in waits.iter().zip([1.0_f64, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]) {
        assert!((base * 0.8..=(base * 1.2).min(60.0)).contains(wait) || *wait == 1.0, "{waits:?}");
    }
    assert_eq!(rig.took_prepare().attempt, 12);
}

#[test]
fn a_stable_minute_clears_the_record() {
    let (mut rig, mut id) = serving();
    for _ in 0..3 {
        rig.exit(&id, 1);
        rig.pass(Duration::from_secs(5));
        id = rig.serve();
    }
    while rig.now < Duration::from_secs(100) {
        rig.pass(Duration::from_secs(1));
        if !rig.asked.is_empty() {
            rig.pass_readiness();
        }
    }
    rig.exit(&id, 1);
    assert_eq!(rig.took_prepare().attempt, 5, "at once");
}

#[test]
fn three_failed_health_checks_in_a_row_end_a_replica_and_two_do_not() {
    let (mut rig, id) = serving();
    let answer = |rig: &mut Rig, result: Result<(), &str>| {
        while rig.asked.is_empty() {
            rig.pass(Duration::from_millis(100));
        }
        let (probed, probe) = rig.took_probe();
        assert_eq!((&probed, probe), (&id, Probe::Live));
        rig.tell(Input::Probed(probed, result.map_err(Into::into)));
    };
    for result in [Err("status 500"), Err("status 500"), Ok(()), Err("no answer"), Err("no answer")] {
        answer(&mut rig, result);
        rig.asks_nothing();
    }
    assert!((Duration::from_secs(20)..=Duration::from_secs(31)).contains(&rig.now), "{:?}", rig.now);
    answer(&mut rig, Err("no answer"));
    assert_eq!(rig.took_kill(), id);
    assert_eq!((rig.state_of(&id), rig.count(EventKind::HealthFail)), (Some(Backoff), 1));
    rig.exit(&id, 9);
    assert_eq!(rig.records[&id.replica].message, "failed 3 health checks in a row: no answer");
    assert!(rig.observed.is_empty(), "it had proved itself long before");
    rig.serve();
}

#[test]
fn a_release_that_crashes_twice_before_it_proved_itself_is_observed_once_and_withdrawn_when_it_comes_up() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    for _ in 0..3 {
        let id = rig.spawn();
        rig.took_probe();
        rig.exit(&id, 1);
        rig.pass(Duration::from_secs(3));
    }
    assert!(matches!(rig.observed.as_slice(), [Observing::Failed(_)]));
    rig.serve();
    assert_eq!(rig.observed.last(), Some(&Observing::Withdrawn));
}

#[test]
fn a_replica_that_has_proved_itself_fails_for_itself_only() {
    let (mut rig, id) = serving();
    rig.pass(Duration::from_secs(3));
    rig.exit(&id, 1);
    for _ in 0..4 {
        let id = rig.spawn();
        rig.took_probe();
        rig.exit(&id, 1);
        rig.pass(Duration::from_secs(20));
    }
    assert!(rig.observed.is_empty());
}

#[test]
fn a_missing_spore_is_asked_for_again_and_at_once_when_it_arrives() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    for _ in 0..4 {
        let id = rig.took_prepare();
        rig.tell(Input::Unprepared(id, Unprepared::Missing("not in the repository".into())));
        assert_eq!(rig.states(), [(0, Pulling)]);
        rig.pass(Duration::from_secs(5));
    }
    let id = rig.took_prepare();
    rig.tell(Input::Unprepared(id, Unprepared::Missing("not in the repository".into())));
    assert!(rig.observed.is_empty(), "it is nobody's failure");
    rig.tell(Input::SporeArrived(release("b").digest));
    rig.asks_nothing();
    rig.tell(Input::SporeArrived(release("a").digest));
    rig.serve();
}

#[test]
fn answers_that_come_too_late_harm_nothing() {
    let (mut rig, id) = serving();
    rig.exit(&id, 1);
    let again = rig.spawn();
    rig.took_probe();
    rig.tell(Input::Probed(id.clone(), Ok(())));
    assert_eq!(rig.state_of(&id), Some(Launching), "the first launch's health is not the second's");
    rig.tell(Input::Spawned { id: id.clone(), pid: 9, port: 9 });
    assert_eq!(rig.took_kill(), id);
    rig.tell(Input::Prepared(id.clone(), facts()));
    assert_eq!(rig.took_clean(), id);
    rig.tell(Input::Exited { id: id.clone(), exit: None, cause: None, last_line: String::new() });
    assert_eq!(rig.took_clean(), id);
    rig.tell(Input::Drained { replica: id.replica.clone(), drain: 0 });
    rig.tell(Input::Probed(again.clone(), Ok(())));
    rig.asks_nothing();
    assert_eq!(rig.state_of(&again), Some(Ready));
}

#[test]
fn an_end_that_is_known_before_its_start_counts_once() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.took_prepare();
    rig.tell(Input::Prepared(id.clone(), facts()));
    rig.took_spawn();
    rig.exit(&id, 1);
    let again = rig.took_prepare();
    assert_eq!(again.attempt, 2);
    rig.tell(Input::Spawned { id: id.clone(), pid: 9, port: 9 });
    assert_eq!(rig.took_kill(), id);
    rig.exit(&id, 1);
    rig.asks_nothing();
}

#[test]
fn a_process_that_dies_while_it_drains_is_gone_and_not_restarted() {
    let (mut rig, id) = serving();
    rig.want_nothing();
    rig.took_drain();
    assert_eq!(rig.state_of(&id), Some(Draining));
    rig.exit(&id, 1);
    rig.asks_nothing();
    assert!(rig.core.is_idle() && rig.records.is_empty());
}

#[test]
fn what_the_machine_cannot_do_does_not_speak_against_the_release() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    for _ in 0..3 {
        let id = rig.took_prepare();
        rig.tell(Input::Prepared(id.clone(), facts()));
        rig.took_spawn();
        rig.tell(Input::NotSpawned(id, NotSpawned::Machine("no process table".into())));
        rig.took_clean();
        rig.pass(Duration::from_secs(5));
    }
    assert!(rig.observed.is_empty());
    for _ in 0..2 {
        let id = rig.took_prepare();
        rig.tell(Input::Prepared(id.clone(), facts()));
        rig.took_spawn();
        rig.tell(Input::NotSpawned(id, NotSpawned::Program("exec format error".into())));
        rig.took_clean();
        rig.pass(Duration::from_secs(30));
    }
    assert_eq!(rig.observed.len(), 1);
}

/// The observation that made everybody fall back must outlive that the release before fails as well.
#[test]
fn what_runs_instead_is_not_observed_when_it_fails_too() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    for _ in 0..2 {
        let id = rig.spawn();
        rig.took_probe();
        rig.exit(&id, 1);
    }
    assert!(matches!(rig.observed.as_slice(), [Observing::Failed(_)]));
    rig.want_as(&release("b"), 1, Some("a failed"));
    for _ in 0..2 {
        let id = rig.spawn();
        rig.took_probe();
        rig.exit(&id, 1);
    }
    assert_eq!(rig.observed.len(), 1, "{:?}", rig.observed);
}
