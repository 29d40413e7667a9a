//! Requests and responses about the mesh of many machines: nodes, peers, tickets, operators, records.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, NodeName, PublicKey, Timestamp};

/// One node in `GET /v1/nodes`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemberStatus {
    /// Its name.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Its key.
    pub public_key: Option<PublicKey>,
    /// `here`, `silent`, `dead`, `left`, or `unknown` if it was not heard of since this node started.
    pub state: String,
    /// Whether this is the node that answers.
    pub me: bool,
    /// Whether operators want its work elsewhere.
    pub drained: bool,
    /// Whether it may let others in.
    pub issuer: bool,
    /// Where peers reach it.
    pub addresses: Vec<String>,
    /// The version of `mesh` it runs.
    pub version: String,
    /// How many replicas are there, in any state that holds a process.
    pub replicas: u32,
    /// Until when strangers believe its membership.
    pub member_until: Option<Timestamp>,
}

/// `GET /v1/network`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkStatus {
    /// The node that answers.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Its key.
    pub public_key: PublicKey,
    /// Where others are told that it is.
    #[schemars(with = "Vec<String>")]
    pub addresses: Vec<SocketAddr>,
    /// Every peer it has a connection to, or tried.
    pub peers: Vec<PeerStatus>,
}

/// One peer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PeerStatus {
    /// Its name, where it is a member.
    #[serde(rename = "nodeID")]
    pub node_id: Option<NodeName>,
    /// Its key.
    pub public_key: PublicKey,
    /// As in [`MemberStatus::state`].
    pub state: String,
    /// Where packets to it go, while it is connected.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
    /// The smoothed round-trip time, in microseconds.
    pub rtt_us: Option<u64>,
    /// Bytes sent, in UDP payloads.
    pub sent: u64,
    /// Bytes received, in UDP payloads.
    pub received: u64,
    /// How many streams are open.
    pub streams: u64,
    /// Since when it is connected.
    pub since: Option<Timestamp>,
    /// Why it isn't.
    pub error: Option<String>,
}

/// `POST /v1/network/ping/{node}`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pong {
    /// How long the node's overlay took to answer, in microseconds.
    pub rtt_us: u64,
    /// Where it was reached.
    #[schemars(with = "Option<String>")]
    pub address: Option<SocketAddr>,
}

/// `POST /v1/tickets`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketWish {
    /// How long it is to hold, in milliseconds.
    pub ttl_ms: u64,
}

/// The answer to [`TicketWish`]: the only time that the ticket is shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketMade {
    /// What is carried to the new machine.
    pub ticket: String,
    /// Its name in the book.
    pub id: PublicKey,
    /// Until when it holds.
    pub expires: Timestamp,
}

/// One ticket in `GET /v1/tickets`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketStatus {
    /// Its name in the book.
    pub id: PublicKey,
    /// Until when it holds.
    pub expires: Timestamp,
    /// Which node was let in by it.
    pub used_by: Option<NodeName>,
}

/// One operator in `GET /v1/operators`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorStatus {
    /// For people.
    pub name: String,
    /// Whose records are obeyed.
    pub public_key: PublicKey,
    /// The short form of the key.
    pub fingerprint: String,
    /// Whether it was removed: then only what was kept of it holds.
    pub removed: bool,
}

/// One identity in `GET /v1/identities`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityStatus {
    /// What it is called.
    pub name: AppName,
    /// The subject of its certificates.
    pub identity: String,
    /// The identity provider.
    pub issuer: String,
    /// The fingerprint of the operator's key that signed it.
    pub writer: String,
}

/// One policy in `GET /v1/policies`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyStatus {
    /// Its name.
    pub name: AppName,
    /// The generation of its record.
    pub generation: u64,
    /// The fingerprint of the operator's key that signed it.
    pub writer: String,
    /// Its record.
    pub id: Digest,
    /// Its text.
    pub rego: String,
}

/// `GET /v1/records/{kind}/{name}`: what operators, or the root, said under a name.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordAt {
    /// The mesh, whose identity is part of every signature.
    pub mesh: String,
    /// The generation that the next record must have.
    pub next_generation: u64,
    /// The record that holds.
    pub id: Option<Digest>,
    /// What it says; nothing after a removal.
    pub value: Option<serde_json::Value>,
}

/// `GET /v1/roots`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootsAt {
    /// The genesis and the successions since (PEM).
    pub roots: String,
    /// The ids of what roots said and that holds: to be kept by a new one.
    pub said: Vec<Digest>,
    /// The generation that the next `root` record must have.
    pub next_generation: u64,
    /// The nodes that may let others in.
    pub issuers: Vec<NodeName>,
}

/// One side of a conflict.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Side {
    /// The record.
    pub id: Digest,
    /// Who wrote it.
    pub writer: String,
    /// What it says; nothing for a removal.
    pub value: Option<serde_json::Value>,
}

/// One of `GET /v1/conflicts`: two operators wrote the same generation on two sides of a cut.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The kind of record.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The generation that both have.
    pub generation: u64,
    /// What holds.
    pub won: Side,
    /// What doesn't.
    pub lost: Side,
}

/// `GET /v1/written-by/{key}`: the ids of the records that a key wrote and that are here. The key is named as records
/// of keys are.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Written {
    /// Ascending.
    pub ids: Vec<Digest>,
}

/// `GET /v1/records`: two nodes that say the same of `count` and `digest` hold the same records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Held {
    /// How many records are here, tombstones and conflicting ones included.
    pub count: u64,
    /// The SHA-256 over their ids, ascending.
    pub digest: Digest,
    /// Whether all of them are on disk.
    pub synced: bool,
}
