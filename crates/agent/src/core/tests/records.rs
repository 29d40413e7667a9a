//! What the core has published of its replicas, and when.

use genome::ReplicaState::Ready;
use types::{AppName, ReplicaName};

use super::rig::{Rig, facts, release};
use crate::core::replica::cut;
use crate::core::rng::Rng;
use crate::core::{Check, Facts, Input};

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
