//! Newer secrets and configs for replicas that run on.

use std::time::Duration;

use genome::{Release, ReplicaState::Ready, Settings, Signal};
use telemetry::EventKind;
use types::SettingName;

use super::rig::{Rig, facts, release};
use crate::core::{Action, Adopted, Adoption, Facts, Input, Launch, LaunchId, Observing, Unprepared};

fn with(secret: u64, config: u64) -> Release {
    let settings = Settings {
        secrets: [(SettingName::new("db-password").unwrap(), secret)].into(),
        config: [(SettingName::new("features").unwrap(), config)].into(),
        rotate: Some(Signal::Hup),
    };
    Release { settings, ..release("a") }
}

/// One replica serves with the first versions.
fn serving() -> (Rig, LaunchId) {
    let mut rig = Rig::new();
    rig.want(&with(1, 1), 1);
    let id = rig.spawn_with(Facts { settings: with(1, 1).settings, ..facts() });
    rig.pass_readiness();
    (rig, id)
}

fn took_renew(rig: &mut Rig) -> (Launch, Release) {
    rig.take(|action| match action {
        Action::Renew(launch, wanted) => Some(((**launch).clone(), wanted.release.clone())),
        _ => None,
    })
}

fn renewed(rig: &mut Rig, id: &LaunchId, to: &Release) {
    rig.tell(Input::Renewed(id.clone(), to.revision(), Ok(to.settings.clone())));
}

#[test]
fn a_newer_value_is_given_to_the_replica_that_runs() {
    let (mut rig, id) = serving();
    rig.want(&with(2, 1), 1);
    assert_eq!(took_renew(&mut rig).0.id, id);
    rig.pass(Duration::from_secs(1));
    // Once is enough.
    assert!(!rig.asked.iter().any(|action| matches!(action, Action::Renew(..) | Action::Prepare(..))));
    let delivered = rig.count(EventKind::SecretDelivered);
    renewed(&mut rig, &id, &with(2, 1));
    assert_eq!((rig.count(EventKind::SecretDelivered), rig.count(EventKind::Renewed)), (delivered + 1, 1));
    assert_eq!(rig.records[&id.replica].revision, with(2, 1).revision());
    assert_eq!(rig.states(), [(0, Ready)]);
    // A config alone is no secret's delivery; what came meanwhile follows at once.
    rig.want(&with(2, 2), 1);
    took_renew(&mut rig);
    rig.want(&with(2, 3), 1);
    renewed(&mut rig, &id, &with(2, 2));
    assert_eq!(rig.count(EventKind::SecretDelivered), delivered + 1);
    assert_eq!(took_renew(&mut rig).1, with(2, 3));
    renewed(&mut rig, &id, &with(2, 3));
    assert_eq!(rig.records[&id.replica].revision, with(2, 3).revision());
    assert_eq!(rig.records[&id.replica].restarts, 0);
}

#[test]
fn what_cannot_be_given_is_waited_for_or_comes_with_another_replica() {
    let (mut rig, id) = serving();
    rig.want(&with(2, 1), 1);
    took_renew(&mut rig);
    let missing = Err(Unprepared::Missing("version 1 is known here".into()));
    rig.tell(Input::Renewed(id.clone(), with(2, 1).revision(), missing));
    assert_eq!(
        (rig.states(), rig.records[&id.replica].message.as_str()),
        (vec![(0, Ready)], "version 1 is known here")
    );
    rig.pass(Duration::from_secs(1));
    took_renew(&mut rig);
    let refused = Err(Unprepared::Refused("it handles no SIGHUP".into()));
    rig.tell(Input::Renewed(id.clone(), with(2, 1).revision(), refused));
    let green = rig.spawn();
    assert_ne!(green.replica, id.replica);
    assert_eq!(rig.state_of(&id), Some(Ready), "until its heir is");
}

#[test]
fn other_changes_and_plans_without_a_signal_replace_it() {
    for change in [
        |release: &mut Release| release.settings.rotate = None,
        |release: &mut Release| release.restart = 1,
        |release: &mut Release| release.settings.config.clear(),
        |release: &mut Release| release.profile = Some("strict".into()),
    ] {
        let (mut rig, _) = serving();
        let mut next = with(2, 1);
        change(&mut next);
        rig.want(&next, 1);
        rig.took_prepare();
        rig.asked.retain(|action| !matches!(action, Action::Probe(..)));
        rig.asks_nothing();
    }
    // How they come is no change of what runs.
    let (mut rig, _) = serving();
    rig.want(&Release { settings: Settings { rotate: None, ..with(1, 1).settings }, ..with(1, 1) }, 1);
    rig.asks_nothing();
}

#[test]
fn one_that_dies_of_it_is_started_again_and_speaks_against_the_release_when_it_goes_on_dying() {
    let (mut rig, id) = serving();
    rig.pass(Duration::from_secs(4));
    rig.asked.clear();
    rig.want(&with(2, 1), 1);
    took_renew(&mut rig);
    renewed(&mut rig, &id, &with(2, 1));
    rig.exit(&id, 1);
    let again = rig.spawn();
    assert_eq!((&again.replica, again.attempt), (&id.replica, id.attempt + 1));
    rig.exit(&again, 1);
    assert!(
        matches!(rig.observed.as_slice(), [Observing::Failed(failed)] if failed.revision == with(2, 1).revision())
    );
}

#[test]
fn one_that_was_taken_over_is_renewed_if_it_is_known_what_it_is() {
    for (known, asks) in [(true, true), (false, false)] {
        let (mut first, id) = serving();
        first.want(&with(2, 1), 1);
        let mut launch = took_renew(&mut first).0;
        launch.body = launch.body.filter(|_| known);
        let mut rig = Rig::unadopted();
        let process = Adopted { launch, pid: 100, exit: None, cause: None, last_line: String::new() };
        let endpoints = vec![first.records[&id.replica].clone()];
        let adoption = Adoption { processes: vec![process], endpoints, ..Adoption::default() };
        rig.tell(Input::Adopt(Box::new(adoption)));
        rig.want(&with(2, 1), 1);
        assert_eq!(rig.asked.iter().any(|action| matches!(action, Action::Renew(..))), asks);
        assert_eq!(rig.asked.iter().any(|action| matches!(action, Action::Prepare(..))), !asks);
    }
}
