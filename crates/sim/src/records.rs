//! Records that a simulated mesh writes.

use fabric::{Core, Draft, Key, Kind, Owner, Record, RecordName};
use genome::{Endpoint, Plan, ReplicaState};
use types::{AppName, Digest, Namespace, Signer as _, Timestamp};

use crate::keys;

fn app(number: u32) -> AppName {
    AppName::new(&format!("app-{number}")).expect("a short name")
}

fn plan_of(number: u32, replicas: u32) -> Plan {
    let release = serde_json::json!({ "digest": Digest::of(b"spore") });
    Plan::new(app(number), serde_json::from_value(release).expect("a release needs a digest"), replicas)
}

/// The next plan of an app, from what this store knows.
pub(crate) fn plan(core: &Core, number: u32, replicas: u32) -> Record {
    let generation = core.next_generation(&key(number));
    Record::plan(keys::mesh(), generation, &plan_of(number, replicas), &keys::operator())
        .expect("a valid plan")
}

/// The end of an app's plan.
pub(crate) fn removal(core: &Core, number: u32, now: Timestamp) -> Record {
    let generation = core.next_generation(&key(number));
    let name = RecordName::of_app(&app(number));
    Record::remove(keys::mesh(), Kind::Plan, name, generation, now, &keys::operator())
        .expect("a valid removal")
}

/// What a node says of a replica of its own, or of another's when `signer` is not its number.
pub(crate) fn endpoint(core: &Core, node: usize, signer: usize, number: u32, now: Timestamp) -> Record {
    let name = keys::node_name(node);
    let endpoint = Endpoint {
        app_name: app(number),
        url: "http://127.0.0.1:8081".into(),
        node_id: name.clone(),
        replica: "r-1".parse().expect("a short name"),
        slot: 0,
        digest: Digest::of(b"spore"),
        version: "v1".into(),
        revision: plan_of(number, 1).release.revision(),
        state: ReplicaState::Ready,
        provides: vec!["http".into()],
        restarts: 0,
        pid: None,
        exit: None,
        message: String::new(),
        since: now,
    };
    let record_name = RecordName::of_endpoint(&endpoint.app_name, &name, &endpoint.replica);
    let order = core.next_order(&name, &keys::node(node).public_key());
    let draft = Draft::of_node(keys::mesh(), Kind::Endpoint, name, record_name, order);
    draft.value(&endpoint).and_then(|draft| draft.sign(&keys::node(signer))).expect("a valid endpoint")
}

/// A plan signed by nobody the mesh knows, and one whose content was changed after it was signed.
pub(crate) fn forged(core: &Core, number: u32) -> [Vec<u8>; 2] {
    let generation = core.next_generation(&key(number));
    let stranger = Record::plan(keys::mesh(), generation, &plan_of(number, 1), &keys::stranger());
    let mut changed = plan(core, number, 7).encode();
    let middle = changed.len() - 80;
    changed[middle] ^= 1;
    [stranger.expect("a valid plan").encode(), changed]
}

fn key(number: u32) -> Key {
    let name = RecordName::of_app(&app(number));
    Key { kind: Kind::Plan, namespace: Namespace::default(), owner: Owner::Operator, name }
}
