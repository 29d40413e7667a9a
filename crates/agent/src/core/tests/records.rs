//! What the core has published of its replicas, and when.

use genome::ReplicaState::{Draining, Ready};
use genome::{Endpoint, Failure, Observed};
use types::{AppName, ReplicaName};

use super::rig::{Rig, facts, release};
use crate::core::replica::cut;
use crate::core::rng::Rng;
use crate::core::{Action, Check, Facts, Input, Observing};

#[test]
fn every_record_is_valid_and_its_message_fits() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    for _ in 0..2 {
        let id = rig.took_prepare();
        rig.tell(Input::Unprepared(id, crate::core::Unprepared::Failed("ä".repeat(9_000))));
    }
    let record = rig.records.values().next().unwrap();
    record.validate().unwrap();
    assert_eq!(record.message, cut(&"ä".repeat(9_000)));
    assert_eq!(record.message.chars().count(), 1_001);
}

#[test]
fn a_raw_tcp_service_is_told_by_its_url() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.spawn_with(Facts { provides: vec!["tcp".into()], check: Some(Check::Tcp), ..facts() });
    rig.pass_readiness();
    assert_eq!(rig.state_of(&id), Some(Ready));
    assert_eq!(rig.records[&id.replica].url, "tcp://127.0.0.1:20101");
}

#[test]
fn names_are_labels_however_long_the_app_is() {
    let mut rng = Rng::new(1);
    for length in [1, 10, 57, 58, 63] {
        let app = AppName::new(&"a".repeat(length)).unwrap();
        let names: std::collections::BTreeSet<ReplicaName> = (0..100).map(|_| rng.replica(&app)).collect();
        assert!(names.len() > 98);
    }
}

/// After a crash that lost what wasn't synced, peers bring back what this node said in its earlier life.
#[test]
fn records_of_an_earlier_life_are_put_right() {
    let mut rig = Rig::new();
    rig.want(&release("a"), 1);
    let id = rig.spawn_with(facts());
    rig.pass_readiness();
    let said = rig.records[&id.replica].clone();
    let none = || std::iter::empty::<&Observed>();
    assert!(rig.core.corrections([&said].into_iter(), none()).is_empty(), "all is as it was said");

    let passed = Endpoint { state: Draining, ..said.clone() };
    let gone = Endpoint { replica: "billing-gone2".parse().unwrap(), ..said.clone() };
    let failed = Failure { revision: said.revision.clone(), reason: "old".into(), at: said.since };
    let seen =
        Observed { node_id: said.node_id.clone(), app_name: said.app_name.clone(), failed: Some(failed) };
    let actions = rig.core.corrections([&passed, &gone].into_iter(), [&seen].into_iter());
    match actions.as_slice() {
        [
            Action::Unregister(_, stranger),
            Action::Register(record),
            Action::Observe(_, Observing::Withdrawn),
        ] => {
            assert_eq!((stranger, &**record), (&gone.replica, &said));
        }
        other => panic!("{other:?}"),
    }
    let lost = rig.core.corrections([].into_iter(), none());
    assert!(matches!(lost.as_slice(), [Action::Register(record)] if **record == said), "{lost:?}");

    rig.tell(Input::Shutdown);
    assert!(rig.core.corrections([&gone].into_iter(), none()).is_empty(), "what stays behind is meant to");
}
