//! Taking over replicas that an agent before this one started.

use genome::ReplicaState::{Draining, Launching, Ready, Verifying};
use genome::{Exit, Observed};
use telemetry::EventKind;
use types::NodeName;

use super::rig::{Rig, app, release};
use crate::core::{Adopted, Adoption, Input, Launch, LaunchId, Observing, Probe};

/// What a next agent finds: the processes and records of `rig`.
fn left_by(rig: &Rig, running: &[(Launch, Option<Exit>)]) -> Adoption {
    let process = |(launch, exit): &(Launch, Option<Exit>)| Adopted {
        launch: launch.clone(),
        pid: 7,
        exit: *exit,
        cause: None,
        last_line: "the last line".into(),
    };
    Adoption {
        processes: running.iter().map(process).collect(),
        endpoints: rig.records.values().cloned().collect(),
        observed: Vec::new(),
    }
}

/// A rig with a process in flight, and that process's note.
fn launched() -> (Rig, Launch) {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.took_prepare();
    rig.tell(Input::Prepared(id.clone(), super::rig::facts()));
    let launch = Launch { port: 20_000, ..rig.took_spawn() };
    rig.tell(Input::Spawned { id, pid: 7, port: 20_000 });
    (rig, launch)
}

fn ready() -> (Rig, Launch) {
    let (mut rig, launch) = launched();
    rig.pass_readiness();
    (rig, launch)
}

fn next(adoption: Adoption) -> Rig {
    let mut rig = Rig::unadopted();
    rig.records = adoption.endpoints.iter().map(|record| (record.replica.clone(), record.clone())).collect();
    rig.tell(Input::Adopt(Box::new(adoption)));
    rig
}

#[test]
fn a_ready_replica_is_taken_over_without_a_restart_and_its_health_asked() {
    let (rig, launch) = ready();
    let mut rig = next(left_by(&rig, &[(launch.clone(), None)]));
    let (id, probe) = rig.took_probe();
    assert_eq!((id, probe), (launch.id.clone(), Probe::Live));
    assert_eq!(rig.states(), [(0, Ready)]);
    rig.want(&release("a"), 1);
    rig.asks_nothing();
    assert_eq!((rig.writes, rig.records[&launch.id.replica].pid), (0, Some(7)));
}

#[test]
fn one_that_was_not_ready_yet_is_asked_until_it_is() {
    let (rig, launch) = launched();
    let mut rig = next(left_by(&rig, &[(launch.clone(), None)]));
    rig.want(&release("a"), 1);
    assert!(matches!(rig.took_probe(), (id, Probe::Ready(_)) if id == launch.id));
    rig.tell(Input::Probed(launch.id, Ok(())));
    assert_eq!(rig.states(), [(0, Ready)]);
}

#[test]
fn an_exit_in_between_is_taken_note_of_and_the_replica_started_again() {
    let (rig, launch) = ready();
    let mut rig = next(left_by(&rig, &[(launch.clone(), Some(Exit::Signal(9)))]));
    assert_eq!(rig.count(EventKind::ProcessExit), 1);
    assert_eq!(rig.took_clean(), launch.id);
    rig.want(&release("a"), 1);
    assert_eq!(rig.states(), [(0, Launching)]);
    let again = rig.serve();
    assert_eq!((again.replica, again.attempt), (launch.id.replica, 2));
}

#[test]
fn what_is_wanted_no_more_is_drained_and_stopped() {
    let (rig, launch) = ready();
    let mut rig = next(left_by(&rig, &[(launch.clone(), None)]));
    rig.took_probe();
    rig.want_nothing();
    assert_eq!(rig.states(), [(0, Draining)]);
    rig.took_drain();
    rig.exit(&launch.id, 0);
    assert!(rig.records.is_empty());
}

#[test]
fn a_record_without_a_process_goes_and_the_slot_is_filled() {
    let (rig, _) = ready();
    let mut rig = next(left_by(&rig, &[]));
    assert_eq!(rig.states(), [(0, Ready)], "nothing is known to be unwanted yet");
    rig.want(&release("a"), 1);
    assert_eq!(rig.states(), [(0, Verifying)], "another one");
    rig.serve();
}

#[test]
fn an_update_goes_on_where_it_was() {
    let (mut rig, blue) = ready();
    rig.want(&release("b"), 1);
    let id = rig.took_prepare();
    rig.tell(Input::Prepared(id.clone(), super::rig::facts()));
    let green = rig.took_spawn();
    rig.tell(Input::Spawned { id, pid: 8, port: 8 });
    rig.pass_readiness();
    let mut rig = next(left_by(&rig, &[(blue.clone(), None), (green.clone(), None)]));
    rig.took_probe();
    let (replica, drain) = rig.took_drain();
    rig.want(&release("b"), 1);
    assert_eq!(rig.states(), [(0, Ready), (0, Draining)]);
    rig.tell(Input::Drained { replica, drain });
    assert_eq!(rig.took_stop(), blue.id);
}

#[test]
fn of_two_launches_of_one_replica_the_later_is_the_replica() {
    let (rig, first) = ready();
    let second = Launch { id: LaunchId { attempt: 2, ..first.id.clone() }, ..first.clone() };
    let mut rig = next(left_by(&rig, &[(second.clone(), None), (first.clone(), None)]));
    assert_eq!((rig.took_kill(), rig.took_clean()), (first.id.clone(), first.id));
    assert_eq!(rig.took_probe().0, second.id);
}

#[test]
fn when_the_keeper_was_lost_everything_it_held_has_ended() {
    let (mut rig, launch) = ready();
    let endpoints = rig.records.values().cloned().collect();
    rig.tell(Input::Adopt(Box::new(Adoption { endpoints, ..Adoption::default() })));
    assert_eq!(rig.took_clean(), launch.id);
    assert_eq!(rig.took_prepare(), LaunchId { attempt: 2, ..launch.id });
}

#[test]
fn an_observation_from_before_holds_until_a_newer_plan() {
    let failed = genome::Failure {
        revision: release("b").revision(),
        reason: "no".into(),
        at: types::Timestamp::from_secs(1),
    };
    let observed =
        vec![Observed { node_id: NodeName::new("node-1").unwrap(), app_name: app(), failed: Some(failed) }];
    let mut rig = Rig::unadopted();
    rig.tell(Input::Adopt(Box::new(Adoption { observed, ..Adoption::default() })));
    rig.want_as(&release("a"), 1, Some("b failed"));
    rig.want_as(&release("a"), 1, Some("b failed"));
    assert!(rig.observed.is_empty());
    rig.want(&release("b"), 1);
    assert_eq!(rig.observed, [Observing::Withdrawn]);
}

#[test]
fn a_note_survives_the_keeper() {
    let (_, launch) = launched();
    let note = serde_json::to_string(&launch).unwrap();
    assert_eq!(serde_json::from_str::<Launch>(&note).unwrap(), launch);
}
