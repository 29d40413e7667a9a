//! Records that a simulated mesh writes.

use fabric::{Core, Draft, Key, Kind, Owner, Record, RecordName, TOMBSTONE_LIFE};
use genome::{Budget, Endpoint, Node, Plan, Pressure, Previous, Release, ReplicaState};
use serde::Serialize;
use types::{AppName, Digest, Namespace, NodeName, Nutrients, Signer as _, Timestamp, Workload};

use crate::keys;

/// What every replica is promised.
pub(crate) const EACH: Nutrients = Nutrients { cpu_milli: 100, memory_mb: 100 };

pub(crate) fn app(number: u32) -> AppName {
    AppName::new(&format!("app-{number}")).expect("a short name")
}

pub(crate) fn release(digest: Digest) -> Release {
    Release {
        digest,
        version: digest.short(),
        workload: Workload::Service,
        nutrients: EACH,
        port: 0,
        env: std::collections::BTreeMap::new(),
        restart: 0,
        profile: None,
        reach: Vec::new(),
        settings: Default::default(),
    }
}

fn plan_of(number: u32, replicas: u32) -> Plan {
    Plan::new(app(number), release(Digest::of(b"spore")), replicas)
}

/// The next plan of an app, from what this store knows.
pub(crate) fn plan(core: &Core, number: u32, replicas: u32) -> Record {
    next_plan(core, number, plan_of(number, replicas))
}

/// The next plan of an app with the one before it, from what this store knows.
pub(crate) fn next_plan(core: &Core, number: u32, mut plan: Plan) -> Record {
    let view = core.view(&Namespace::default());
    plan.previous = view
        .plans
        .get(&plan.app_name)
        .map(|held| Previous { generation: held.generation, release: held.value.release.clone() });
    let generation = core.next_generation(&key(Kind::Plan, number));
    Record::plan(keys::mesh(), generation, &plan, &keys::operator()).expect("a valid plan")
}

/// The next budget of an app.
pub(crate) fn budget(core: &Core, number: u32, max_instances: u32) -> Record {
    let generation = core.next_generation(&key(Kind::Budget, number));
    let budget = Budget { app_name: app(number), max_instances, cpu_milli: 10_000, memory_mb: 10_000 };
    Record::budget(keys::mesh(), generation, &budget, &keys::operator()).expect("a valid budget")
}

/// The end of an app's plan.
pub(crate) fn removal(core: &Core, number: u32, now: Timestamp) -> Record {
    let generation = core.next_generation(&key(Kind::Plan, number));
    let name = RecordName::of_app(&app(number));
    Record::remove(keys::mesh(), Kind::Plan, name, generation, now, &keys::operator())
        .expect("a valid removal")
}

/// What a node says of itself, or takes back; nothing when that is what it says already.
pub(crate) fn own(
    core: &Core,
    number: usize,
    kind: Kind,
    name: RecordName,
    payload: Option<Vec<u8>>,
    now: Timestamp,
) -> Option<Record> {
    let node = keys::node_name(number);
    let order = core.next_order(&node, &keys::node(number).public_key());
    let mut draft = Draft::of_node(keys::mesh(), kind, node, name, order);
    let held = core.get(&draft.key);
    if held.and_then(Record::payload) == payload.as_deref() {
        return None;
    }
    draft.expires = payload.is_none().then(|| now + TOMBSTONE_LIFE);
    draft.payload = payload;
    Some(draft.sign(&keys::node(number)).expect("a valid record"))
}

/// What a node has to offer.
pub(crate) fn node(name: &NodeName, cpu_milli: u64) -> Vec<u8> {
    json(&Node {
        node_id: name.clone(),
        host: name.to_string(),
        capacity: Nutrients { cpu_milli, memory_mb: 100_000 },
        labels: std::collections::BTreeMap::new(),
        addresses: Vec::new(),
        version: String::new(),
        pressure: Pressure::None,
    })
}

pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it has a form in JSON")
}

/// What a node says of a replica of another's, signed by `signer`.
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
        warm: false,
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
    let generation = core.next_generation(&key(Kind::Plan, number));
    let stranger = Record::plan(keys::mesh(), generation, &plan_of(number, 1), &keys::stranger());
    let mut changed = plan(core, number, 7).encode();
    let middle = changed.len() - 80;
    changed[middle] ^= 1;
    [stranger.expect("a valid plan").encode(), changed]
}

fn key(kind: Kind, number: u32) -> Key {
    let name = RecordName::of_app(&app(number));
    Key { kind, namespace: Namespace::default(), owner: Owner::Operator, name }
}
