//! What the unit tests of this crate share: fixed keys, small plans.

pub(crate) mod papers;

use ed25519_dalek::Signer as _;
use genome::{Budget, Endpoint, Plan, ReplicaState};
use types::{AppName, Digest, NodeName, PublicKey, SignError, Signature, Signer, Timestamp};

use crate::{Authority, Config, Core, Draft, Fabric, Kind, MeshId, Order, Record, RecordName, Verified};

pub(crate) struct KeyPair(ed25519_dalek::SigningKey);

impl Signer for KeyPair {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

fn key(seed: u8) -> KeyPair {
    KeyPair(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
}

/// Operators 0 and 1 may write; 2 may not.
pub(crate) fn operator(number: u8) -> KeyPair {
    key(10 + number)
}

/// The keys of `node-1`, `node-2` and (unknown to the mesh) `node-3`.
pub(crate) fn node_key(number: u8) -> KeyPair {
    key(100 + number)
}

/// The mesh that the records of the fuzz corpus were signed for.
pub(crate) fn mesh() -> MeshId {
    let id: Digest = "01efdadb070ee0a9b760d4b748029fee66548b73aef85591dda6440753c181ed".parse().unwrap();
    MeshId::from_bytes(*id.as_bytes())
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

pub(crate) fn authority() -> Authority {
    Authority {
        operators: [0, 1].map(|n| operator(n).public_key()).into(),
        nodes: [1, 2].map(|n| (node_name(&format!("node-{n}")), node_key(n).public_key())).into(),
        roots: None,
    }
}

pub(crate) fn core() -> Core {
    Core::new(mesh(), authority(), now())
}

pub(crate) fn fabric() -> Fabric {
    let config = Config { mesh: mesh(), authority: authority(), journal: None };
    Fabric::new(config, [], now()).unwrap().0
}

pub(crate) fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

pub(crate) fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub(crate) fn plan(name: &str, replicas: u32) -> Plan {
    let release = serde_json::from_value(serde_json::json!({ "digest": Digest::of(b"spore") })).unwrap();
    Plan::new(app(name), release, replicas)
}

pub(crate) fn budget(name: &str, max_instances: u32) -> Budget {
    Budget { app_name: app(name), max_instances, cpu_milli: 1000, memory_mb: 1000 }
}

pub(crate) fn endpoint(name: &str, on: &str, replica: &str) -> Endpoint {
    Endpoint {
        app_name: app(name),
        url: "http://127.0.0.1:8081".into(),
        node_id: node_name(on),
        replica: replica.parse().unwrap(),
        slot: 0,
        digest: Digest::of(b"spore"),
        version: "v1".into(),
        revision: plan(name, 1).release.revision(),
        state: ReplicaState::Ready,
        warm: false,
        provides: vec!["http".into()],
        restarts: 0,
        pid: None,
        exit: None,
        message: String::new(),
        since: now(),
    }
}

pub(crate) fn plan_record(generation: u64, plan: &Plan) -> Record {
    Record::plan(mesh(), generation, plan, &operator(0)).unwrap()
}

pub(crate) fn budget_record(generation: u64, budget: &Budget) -> Record {
    Record::budget(mesh(), generation, budget, &operator(0)).unwrap()
}

/// An endpoint of the first incarnation, as its node (or somebody else) signed it.
pub(crate) fn own_record(endpoint: &Endpoint, sequence: u64, signer: &KeyPair) -> Record {
    let name = RecordName::of_endpoint(&endpoint.app_name, &endpoint.node_id, &endpoint.replica);
    let order = Order::sequence(1, sequence);
    let draft = Draft::of_node(mesh(), Kind::Endpoint, endpoint.node_id.clone(), name, order);
    draft.value(endpoint).unwrap().sign(signer).unwrap()
}

pub(crate) fn removal(kind: Kind, name: &str, generation: u64) -> Record {
    let name: RecordName = name.parse().unwrap();
    Record::remove(mesh(), kind, name, generation, now(), &operator(0)).unwrap()
}

pub(crate) fn verified(record: Record) -> Verified {
    record.verify(&mesh()).unwrap()
}
