//! A mesh that was founded on keys: its roots, its certificates, and what follows from them.

use std::time::Duration;

use genome::{Issuer, Member, Operator, Plan, Revoke, RootChange};
use soul::{Certificate, Chain, Genesis, Roots, Succession};
use types::{Digest, MeshId, NodeName, PublicKey, Signer, Timestamp};

use super::{KeyPair, endpoint, node_name, now, plan};
use crate::{Authority, Core, Draft, Input, Kind, Order, Output, Receipt, Record, RecordName, Refused};

/// Seeds of keys.
pub(crate) const ROOT: u8 = 1;
pub(crate) const RECOVERY: u8 = 2;
pub(crate) const NEW_ROOT: u8 = 3;
pub(crate) const NEW_RECOVERY: u8 = 4;
pub(crate) const OPERATORS: [u8; 2] = [10, 11];
pub(crate) const ISSUERS: [u8; 2] = [20, 21];
pub(crate) const NODES: [u8; 3] = [30, 31, 32];

pub(crate) fn key(seed: u8) -> KeyPair {
    super::key(seed)
}

pub(crate) fn public(seed: u8) -> PublicKey {
    key(seed).public_key()
}

pub(crate) fn roots() -> Roots {
    Roots::new(Genesis::new(public(ROOT), public(RECOVERY)).unwrap())
}

pub(crate) fn mesh() -> MeshId {
    roots().mesh()
}

/// What a node of this mesh knows before it has seen any record.
pub(crate) fn authority() -> Authority {
    Authority { roots: Some(roots()), ..Authority::default() }
}

pub(crate) fn core() -> Core {
    Core::new(mesh(), authority(), now())
}

/// The roots after [`NEW_ROOT`] has taken over.
pub(crate) fn new_roots() -> Roots {
    let mut roots = roots();
    let succession = Succession::sign(&roots, public(NEW_ROOT), public(NEW_RECOVERY), &key(RECOVERY));
    assert_eq!(roots.apply(&succession.unwrap()), Ok(true));
    roots
}

/// A certificate in its binary form, as soul describes it: sense or nonsense.
fn certificate(
    signer: &dyn Signer,
    member: Option<&NodeName>,
    subject: PublicKey,
    from: Timestamp,
    life: Duration,
) -> Certificate {
    let mut bytes = 1u16.to_be_bytes().to_vec();
    bytes.extend_from_slice(mesh().as_bytes());
    bytes.extend_from_slice(signer.public_key().as_bytes());
    match member {
        None => bytes.push(1),
        Some(name) => {
            bytes.extend_from_slice(&[2, u8::try_from(name.as_str().len()).unwrap()]);
            bytes.extend_from_slice(name.as_str().as_bytes());
        }
    }
    bytes.extend_from_slice(subject.as_bytes());
    bytes.extend_from_slice(&7u64.to_be_bytes());
    bytes.extend_from_slice(&from.as_millis().to_be_bytes());
    bytes.extend_from_slice(&(from + life).as_millis().to_be_bytes());
    bytes.extend_from_slice(&0u16.to_be_bytes());
    let message = [b"mycelium certificate\0", bytes.as_slice()].concat();
    bytes.extend_from_slice(signer.sign(&message).unwrap().as_bytes());
    Certificate::decode(&bytes).unwrap()
}

/// `seconds` after the mesh was founded, which is a month before [`now`].
pub(crate) fn then(seconds: u64) -> Timestamp {
    Timestamp::from_secs(now().as_millis() / 1000 - 30 * 24 * 3600 + seconds)
}

pub(crate) fn issuer_certificate(issuer: u8, root: u8) -> Certificate {
    certificate(&key(root), None, public(issuer), then(0), Duration::from_hours(365 * 24))
}

/// The chain of a node that was let in by an issuer, at that moment and for a day.
pub(crate) fn chain_by(root: u8, issuer: u8, node: u8, name: &str, seconds: u64) -> Chain {
    let membership = membership_at(issuer, node, name, then(seconds));
    Chain { membership, issuer: issuer_certificate(issuer, root) }
}

pub(crate) fn membership_at(issuer: u8, node: u8, name: &str, from: Timestamp) -> Certificate {
    let life = Duration::from_hours(24);
    certificate(&key(issuer), Some(&node_name(name)), public(node), from, life)
}

pub(crate) fn chain(issuer: u8, node: u8, name: &str, seconds: u64) -> Chain {
    chain_by(ROOT, issuer, node, name, seconds)
}

pub(crate) fn member_of(chain: &Chain, name: &str, count: u64, signer: u8) -> Record {
    let member = Member { node_id: node_name(name), chain: chain.to_pem() };
    let (order, record) = (Order::sequence(1, count), RecordName::of_node(&member.node_id));
    let draft = Draft::of_node(mesh(), Kind::Member, member.node_id.clone(), record, order);
    draft.value(&member).unwrap().sign(&key(signer)).unwrap()
}

/// A node's own record of its membership.
pub(crate) fn member(issuer: u8, node: u8, name: &str, seconds: u64, count: u64) -> Record {
    member_of(&chain(issuer, node, name, seconds), name, count, node)
}

pub(crate) fn root_change(roots: &Roots, keeps: &[Digest], generation: u64, signer: u8) -> Record {
    let successions = roots.successions().iter().map(Succession::to_pem).collect();
    let change = RootChange { successions, keeps: keeps.to_vec() };
    Record::root(mesh(), generation, &change, &key(signer)).unwrap()
}

/// An operator's record; with `keeps` it is one of removal.
pub(crate) fn operator_by(root: u8, operator: u8, generation: u64, keeps: Option<&[Digest]>) -> Record {
    let public_key = public(operator);
    let (removed, keeps) = (keeps.is_some(), keeps.unwrap_or_default().to_vec());
    let operator = Operator { public_key, name: String::new(), removed, keeps };
    Record::operator(mesh(), generation, &operator, &key(root)).unwrap()
}

pub(crate) fn operator(operator: u8) -> Record {
    operator_by(ROOT, operator, 1, None)
}

pub(crate) fn issuer_by(root: u8, issuer: u8, generation: u64) -> Record {
    let certificate = issuer_certificate(issuer, root).to_pem();
    let issuer = Issuer { node_id: node_name("node-1"), public_key: public(issuer), certificate };
    Record::issuer(mesh(), generation, &issuer, &key(root)).unwrap()
}

pub(crate) fn revoke(node: u8, generation: u64, signer: u8) -> Record {
    let revoke = Revoke { public_key: public(node), name: node_name("node-1"), reason: "stolen".into() };
    Record::revoke(mesh(), generation, &revoke, &key(signer)).unwrap()
}

pub(crate) fn plan_by(operator: u8, name: &str, generation: u64, replicas: u32) -> Record {
    let plan: Plan = plan(name, replicas);
    Record::plan(mesh(), generation, &plan, &key(operator)).unwrap()
}

/// What a node says of a replica on the node `on`.
pub(crate) fn endpoint_by(node: u8, on: &str, replica: &str, count: u64) -> Record {
    let endpoint = endpoint("billing", on, replica);
    let name = RecordName::of_endpoint(&endpoint.app_name, &endpoint.node_id, &endpoint.replica);
    let order = Order::sequence(1, count);
    let draft = Draft::of_node(mesh(), Kind::Endpoint, endpoint.node_id.clone(), name, order);
    draft.value(&endpoint).unwrap().sign(&key(node)).unwrap()
}

pub(crate) fn give(core: &mut Core, record: &Record) -> Result<Receipt, Refused> {
    let verified = record.clone().verify(&mesh())?;
    let answer = core.handle(Input::Merge(verified), now()).into_iter().find_map(|output| match output {
        Output::Accepted(receipt) => Some(Ok(receipt)),
        Output::Refused(reason) => Some(Err(reason)),
        _ => None,
    });
    answer.unwrap()
}

/// Gives everything, in this order, again and again until nothing changes: as reconciliation does.
pub(crate) fn give_all(core: &mut Core, records: &[Record]) {
    for _ in 0..20 {
        let before = core.edition();
        for record in records {
            drop(give(core, record));
        }
        if core.edition() == before {
            return;
        }
    }
    panic!("it never comes to rest");
}
