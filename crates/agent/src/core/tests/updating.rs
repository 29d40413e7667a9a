//! Blue/green: the order in which an update happens.

use std::time::Duration;

use genome::ReplicaState::{Draining, Launching, Ready};
use telemetry::EventKind;

use super::rig::{Rig, WARMUP, app, facts, release};
use crate::core::{Action, Input, LaunchId, Observing, World};

/// One replica of `a` serves; `b` was asked for, and is launching.
fn updating() -> (Rig, LaunchId, LaunchId) {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let blue = rig.serve();
    rig.want(&release("b"), 1);
    let green = rig.spawn();
    (rig, blue, green)
}

#[test]
fn blue_serves_until_green_is_ready_and_leaves_after_the_warm_up() {
    let (mut rig, blue, green) = updating();
    assert_eq!(rig.state_of(&blue), Some(Ready));
    rig.pass_readiness();
    assert_eq!((rig.state_of(&blue), rig.state_of(&green)), (Some(Draining), Some(Ready)));
    let (replica, drain) = rig.took_drain();
    assert_eq!(replica, blue.replica);
    rig.tell(Input::Drained { replica, drain });
    rig.pass(Duration::from_millis(1_999));
    rig.asks_nothing();
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.took_stop(), blue);
    rig.exit(&blue, 0);
    assert_eq!(rig.states(), [(0, Ready)]);
    rig.asks_nothing();
}

#[test]
fn green_becomes_ready_before_blue_begins_to_drain() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let mut blue = rig.serve();
    // Names are chance; one of them could stand in the right order by it.
    for letter in ["b", "c", "d", "e", "f", "g", "h", "i"] {
        rig.want(&release(letter), 1);
        let green = rig.spawn();
        let (id, _) = rig.took_probe();
        let actions = rig.handle(Input::Probed(id, Ok(())));
        let steps: Vec<_> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Register(record) => Some((record.state == Ready, &record.replica)),
                Action::Drain(_, replica, _) => Some((false, replica)),
                _ => None,
            })
            .collect();
        let (up, down) = ((true, &green.replica), (false, &blue.replica));
        assert_eq!(steps, [up, down, down], "and the edge is told last");
        rig.took_drain();
        rig.pass(Duration::from_secs(10));
        assert_eq!(rig.took_stop(), blue);
        rig.exit(&blue, 0);
        while !rig.asked.is_empty() {
            rig.pass_readiness();
        }
        blue = green;
    }
}

#[test]
fn when_green_dies_in_its_warm_up_blue_steps_in_at_once() {
    let (mut rig, blue, green) = updating();
    rig.pass_readiness();
    let (replica, drain) = rig.took_drain();
    rig.tell(Input::Drained { replica: replica.clone(), drain });
    rig.pass(Duration::from_secs(1));
    rig.exit(&green, 1);
    assert_eq!((rig.state_of(&blue), rig.state_of(&green)), (Some(Ready), Some(Launching)));
    assert!(rig.observed.is_empty(), "one early death may be chance");
    // Blue serves again, so an answer to its first drain means nothing for the second one.
    let (live, _) = rig.took_probe();
    assert_eq!(live, blue);
    rig.tell(Input::Probed(live, Ok(())));
    let green = rig.serve();
    let second = rig.took_drain();
    assert_ne!((replica, drain), second);
    rig.pass(Duration::from_secs(1));
    rig.exit(&green, 1);
    assert!(matches!(rig.observed.as_slice(), [Observing::Failed(failure)]
        if failure.revision == release("b").revision() && failure.reason == "exit status 1: the last line"));
    assert_eq!(rig.state_of(&blue), Some(Ready));
}

#[test]
fn an_answer_to_an_earlier_drain_ends_no_later_one() {
    let (mut rig, blue, green) = updating();
    rig.pass_readiness();
    let (replica, first) = rig.took_drain();
    rig.exit(&green, 1);
    rig.took_probe();
    rig.serve();
    let (_, second) = rig.took_drain();
    rig.tell(Input::Drained { replica: replica.clone(), drain: first });
    rig.pass(Duration::from_secs(3));
    rig.asks_nothing();
    rig.tell(Input::Drained { replica, drain: second });
    assert_eq!(rig.took_stop(), blue);
}

#[test]
fn a_green_that_is_not_ready_in_time_goes_and_blue_stays() {
    let (mut rig, blue, green) = updating();
    let (id, _) = rig.took_probe();
    rig.tell(Input::Probed(id, Err("status 503 for 6 s".into())));
    assert_eq!(rig.took_kill(), green);
    rig.exit(&green, 1);
    assert!(
        matches!(rig.observed.as_slice(), [Observing::Failed(failure)] if failure.reason == "status 503 for 6 s")
    );
    rig.want_as(&release("a"), 1, Some("b failed on node-1"));
    assert_eq!(rig.count(EventKind::RolledBack), 1);
    // The second launch of green was on its way and is given up.
    let id = rig.took_prepare();
    rig.tell(Input::Prepared(id.clone(), facts()));
    assert_eq!(rig.took_clean(), id);
    rig.asks_nothing();
    assert_eq!((rig.states(), rig.state_of(&blue)), (vec![(0, Ready)], Some(Ready)));
    assert_eq!(rig.observed.len(), 1, "the observation holds while the plan that failed stands");
    rig.want(&release("c"), 1);
    assert_eq!(rig.observed.last(), Some(&Observing::Withdrawn));
}

#[test]
fn going_back_within_the_warm_up_takes_blue_as_it_is() {
    let (mut rig, blue, green) = updating();
    rig.pass_readiness();
    rig.took_drain();
    rig.want(&release("a"), 1);
    assert_eq!((rig.state_of(&blue), rig.state_of(&green)), (Some(Ready), Some(Draining)));
    rig.took_drain();
    rig.took_probe();
    rig.asks_nothing();
    // What served a before serves it again: it has been ready for longer than the warm-up asks.
    rig.pass(Duration::from_secs(10));
    assert_eq!(rig.took_stop(), green);
}

#[test]
fn a_third_release_during_an_update_replaces_green_and_not_blue() {
    let (mut rig, blue, green) = updating();
    rig.took_probe();
    rig.want(&release("c"), 1);
    assert_eq!(rig.took_stop(), green);
    rig.asks_nothing();
    rig.exit(&green, 0);
    let third = rig.serve();
    assert_eq!((rig.state_of(&blue), rig.state_of(&third)), (Some(Draining), Some(Ready)));
}

#[test]
fn an_update_holds_one_replica_more_than_slots_and_watches_only_the_first() {
    let mut rig = Rig::new();
    let mut blues = Vec::new();
    for slots in 1..=3 {
        rig.want(&release("a"), slots);
        blues.push(rig.serve());
    }
    rig.pass(Duration::from_secs(1));
    rig.want(&release("b"), 3);
    rig.serve();
    let (replica, drain) = rig.took_drain();
    rig.tell(Input::Drained { replica, drain });
    rig.asks_nothing();
    rig.pass(Duration::from_secs(2));
    assert_eq!(rig.took_stop(), blues[0]);
    rig.asks_nothing();
    rig.exit(&blues[0], 0);
    for blue in &blues[1..] {
        rig.serve();
        let (replica, drain) = rig.took_drain();
        assert_eq!(replica, blue.replica);
        rig.tell(Input::Drained { replica, drain });
        assert_eq!(rig.took_stop(), *blue, "the release has proved itself here");
        rig.exit(blue, 0);
    }
    assert_eq!(rig.states(), [(0, Ready), (1, Ready), (2, Ready)]);
    rig.asks_nothing();
}

#[test]
fn a_fixed_port_is_given_up_before_it_is_taken() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (release("a"), release("b"));
    (a.port, b.port) = (8080, 8080);
    rig.want(&a, 1);
    let blue = rig.serve();
    rig.want(&b, 1);
    let green = rig.took_prepare();
    assert_eq!(rig.state_of(&blue), Some(Ready), "what may be refused must not cost the one that works");
    rig.tell(Input::Prepared(green.clone(), facts()));
    assert_eq!(rig.state_of(&blue), Some(Draining));
    let (replica, drain) = rig.took_drain();
    rig.tell(Input::Drained { replica, drain });
    assert_eq!(rig.took_stop(), blue);
    rig.asks_nothing();
    rig.exit(&blue, 0);
    assert_eq!(rig.spawn_prepared(), green);
    rig.pass_readiness();
    assert_eq!(rig.states(), [(0, Ready)]);
}

#[test]
fn another_fixed_port_is_no_reason_to_stop_first() {
    let mut rig = Rig::new();
    let (mut a, mut b) = (release("a"), release("b"));
    (a.port, b.port) = (8080, 8081);
    rig.want(&a, 1);
    let blue = rig.serve();
    rig.want(&b, 1);
    rig.spawn();
    assert_eq!(rig.state_of(&blue), Some(Ready));
}

#[test]
fn what_is_on_its_way_elsewhere_serves_until_it_does_there_and_is_not_started_again() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let blue = rig.serve();
    let stays = || Input::World(World { stays: [(app(), 0)].into(), ..World::default() });
    rig.tell(stays());
    rig.asks_nothing();
    assert_eq!(rig.state_of(&blue), Some(Ready));
    rig.want_nothing();
    assert_eq!(rig.state_of(&blue), Some(Draining));
    rig.took_drain();

    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let blue = rig.serve();
    rig.tell(stays());
    rig.exit(&blue, 1);
    rig.pass(Duration::from_secs(60));
    rig.asks_nothing();
    assert_eq!(rig.states(), []);
}

#[test]
fn what_others_wait_for_says_once_that_it_has_been_ready_for_the_warm_up() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.serve();
    let warm = |rig: &Rig| rig.records[&id.replica].warm;
    rig.pass(WARMUP);
    assert!(!warm(&rig), "nobody waits for it");
    let writes = rig.writes;
    rig.watch(&release("a"));
    assert!(warm(&rig), "it has been for long");
    assert_eq!(rig.writes, writes + 1);

    let mut rig = Rig::new();
    rig.watch(&release("a"));
    let id = rig.serve();
    let warm = |rig: &Rig| rig.records.get(&id.replica).is_some_and(|record| record.warm);
    rig.pass(WARMUP - Duration::from_millis(1));
    assert!(!warm(&rig));
    rig.pass(Duration::from_millis(1));
    assert!(warm(&rig));
    rig.asked.clear();
    rig.exit(&id, 1);
    assert!(!warm(&rig), "it has to prove itself again");
}
