//! The first start of a replica.

use std::time::Duration;

use genome::ReplicaState::{Draining, Launching, Ready, Refused, Verifying};
use telemetry::EventKind;

use super::rig::{Rig, facts, release};
use crate::core::{Input, NotSpawned, Probe, Unprepared};

#[test]
fn a_fast_launch_costs_two_records_and_says_its_five_events() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.spawn();
    assert_eq!((rig.writes, rig.states()), (1, vec![(0, Verifying)]));
    let (_, probe) = rig.took_probe();
    assert_eq!(probe, Probe::Ready(Duration::from_secs(6)));
    rig.tell(Input::Probed(id.clone(), Ok(())));
    rig.asks_nothing();
    assert_eq!((rig.writes, rig.state_of(&id)), (2, Some(Ready)));
    let record = &rig.records[&id.replica];
    assert_eq!(record.url, "http://127.0.0.1:20101");
    assert_eq!((record.pid, record.version.as_str(), record.restarts), (Some(101), "v1", 0));
    rig.exit(&id, 1);
    for kind in [
        EventKind::PlanReceived,
        EventKind::LaunchStart,
        EventKind::HealthOk,
        EventKind::EndpointRegister,
        EventKind::ProcessExit,
    ] {
        assert_eq!(rig.count(kind), 1, "{kind:?}");
    }
}

#[test]
fn a_slow_launch_shows_where_it_is() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    rig.pass(Duration::from_millis(40));
    let id = rig.spawn();
    assert_eq!(rig.states(), [(0, Verifying)]);
    rig.pass(Duration::from_millis(9));
    assert_eq!(rig.states(), [(0, Verifying)]);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.states(), [(0, Launching)]);
    rig.pass_readiness();
    assert_eq!(rig.state_of(&id), Some(Ready));
}

#[test]
fn the_same_world_again_changes_nothing() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 2);
    rig.asked.truncate(1);
    rig.serve();
    rig.want_as(&release("a"), 2, None);
    rig.want_as(&release("a"), 2, None);
    rig.asks_nothing();
    assert_eq!((rig.writes, rig.count(EventKind::PlanReceived)), (3, 1));
}

#[test]
fn each_slot_gets_a_replica_and_a_slot_less_drains_then_stops_then_goes() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let first = rig.serve();
    rig.want(&release("a"), 2);
    let second = rig.serve();
    assert_ne!(first.replica, second.replica);
    rig.want(&release("a"), 1);
    assert_eq!(rig.state_of(&second), Some(Draining));
    let (replica, drain) = rig.took_drain();
    assert_eq!(replica, second.replica);
    rig.asks_nothing();
    rig.tell(Input::Drained { replica, drain });
    assert_eq!(rig.took_stop(), second);
    rig.exit(&second, 0);
    assert_eq!(rig.states(), [(0, Ready)]);
    assert_eq!(rig.count(EventKind::ReplicaStopped), 1);
    assert_eq!(rig.state_of(&first), Some(Ready));
    assert!(!rig.core.is_idle());
}

#[test]
fn requests_that_never_end_hold_a_leaving_replica_for_its_grace_only() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.serve();
    rig.want_nothing();
    rig.took_drain();
    rig.pass(Duration::from_millis(9_999));
    rig.asks_nothing();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.took_stop(), id);
    rig.pass(Duration::from_secs(20));
    assert_eq!(rig.took_kill(), id, "what ignores SIGTERM and the keeper's kill is killed again");
    rig.exit(&id, 0);
    assert!(rig.records.is_empty() && rig.core.is_idle());
}

#[test]
fn what_is_not_wanted_any_more_goes_from_whatever_phase_it_is_in() {
    for phase in 0..4 {
        let mut rig = Rig::new();
        rig.want(&release("a"), 1);
        let id = rig.took_prepare();
        if phase == 0 {
            rig.want_nothing();
            rig.tell(Input::Prepared(id.clone(), facts()));
            assert_eq!(rig.took_clean(), id);
        } else {
            rig.tell(Input::Prepared(id.clone(), facts()));
            rig.took_spawn();
            let spawned = Input::Spawned { id: id.clone(), pid: 9, port: 9 };
            if phase == 1 {
                rig.want_nothing();
                rig.tell(spawned);
            } else if phase == 2 {
                rig.tell(spawned);
                rig.took_probe();
                rig.want_nothing();
            } else {
                rig.want_nothing();
                rig.tell(Input::NotSpawned(id.clone(), NotSpawned::Machine("no".into())));
                assert_eq!(rig.took_clean(), id);
            }
            if phase < 3 {
                assert_eq!(rig.took_stop(), id);
                rig.exit(&id, 0);
            }
        }
        rig.asks_nothing();
        assert!(rig.core.is_idle() && rig.records.is_empty(), "phase {phase}");
    }
}

#[test]
fn a_refused_spore_waits_for_trust_or_another_plan_and_nothing_else() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let refuse = |rig: &mut Rig| {
        let id = rig.took_prepare();
        rig.tell(Input::Unprepared(id, Unprepared::Refused("not trusted".into())));
        rig.asks_nothing();
        assert_eq!(rig.states(), [(0, Refused)]);
        assert_eq!(rig.records.values().next().unwrap().message, "not trusted");
    };
    refuse(&mut rig);
    rig.pass(Duration::from_secs(600));
    rig.want_as(&release("a"), 1, None);
    rig.asks_nothing();
    rig.tell(Input::TrustChanged);
    refuse(&mut rig);
    rig.want(&release("a"), 1);
    refuse(&mut rig);
    assert!(rig.observed.is_empty());
    rig.tell(Input::TrustChanged);
    rig.serve();
    assert_eq!(rig.states(), [(0, Ready)]);
    assert_eq!(rig.count(EventKind::SporeRefused), 3);
}

#[test]
fn shutting_down_drains_and_stops_everything_and_starts_nothing() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.serve();
    rig.tell(Input::Shutdown);
    rig.want_as(&release("b"), 1, None);
    let (replica, drain) = rig.took_drain();
    rig.tell(Input::Drained { replica, drain });
    assert_eq!(rig.took_stop(), id);
    assert!(!rig.core.is_idle());
    rig.exit(&id, 0);
    rig.asks_nothing();
    assert!(rig.core.is_idle() && rig.records.is_empty());
}
