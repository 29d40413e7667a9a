//! Nodes, peers, tickets, operators and records of a mesh of many machines.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use fabric::net::Standing;
use fabric::{Key, Kind, Owner, Record, RecordName};
use hyphae::OpenError;
use types::{Digest, Namespace, NodeName, PublicKey, Signer as _};

use super::error::ApiError;
use super::state::ApiState;
use crate::api::{
    Conflict, Held, IdentityStatus, MemberStatus, NetworkStatus, OperatorStatus, PeerStatus, PolicyStatus,
    Pong, RecordAt, RootsAt, Side, TicketMade, TicketStatus, TicketWish, Written,
};
use crate::network::Network;

/// What the one `root` record is called.
const ROOT: &str = "root";

type Answer<T> = Result<Json<T>, ApiError>;

/// `GET /v1/nodes`
pub(super) async fn nodes(State(state): State<ApiState>) -> Json<Vec<MemberStatus>> {
    let view = state.fabric.view();
    let authority = state.fabric.authority();
    let names: BTreeSet<&NodeName> = authority.nodes.keys().chain(view.nodes.keys()).collect();
    let describe = |name: &NodeName| {
        let said = view.nodes.get(name);
        let key = authority.nodes.get(name).copied();
        let me = state.presence.is_own(name);
        MemberStatus {
            node_id: name.clone(),
            public_key: key,
            state: state.presence.state(name).to_owned(),
            me,
            drained: view.drains.contains_key(name),
            issuer: key.is_some_and(|key| view.issuers.contains_key(&key)),
            addresses: said.map(|node| node.addresses.clone()).unwrap_or_default(),
            version: said.map(|node| node.version.clone()).unwrap_or_default(),
            replicas: view.endpoints().filter(|e| e.node_id == *name && e.pid.is_some()).count() as u32,
            member_until: view.members.get(name).map(|membership| membership.member.expires),
        }
    };
    Json(names.into_iter().map(describe).collect())
}

/// `GET /v1/network`
pub(super) async fn network(State(state): State<ApiState>) -> Answer<NetworkStatus> {
    let network = network_of(&state)?;
    let peers = network.overlay.peers().into_iter().map(|peer| {
        let node_id = network.desk.door.name_of(&peer.key);
        let standing = node_id.as_ref().and_then(|name| state.presence.standing(name));
        PeerStatus {
            node_id,
            public_key: peer.key,
            state: standing.map_or("unknown", Standing::as_str).to_owned(),
            address: peer.address,
            rtt_us: peer.rtt.map(micros),
            sent: peer.sent,
            received: peer.received,
            streams: peer.streams as u64,
            since: peer.since.map(Into::into),
            error: peer.error,
        }
    });
    Ok(Json(NetworkStatus {
        node_id: network.desk.name.clone(),
        public_key: network.desk.key.public_key(),
        addresses: network.addresses.borrow().clone(),
        peers: peers.collect(),
    }))
}

/// `POST /v1/network/ping/{node}`
pub(super) async fn ping(State(state): State<ApiState>, Path(node): Path<String>) -> Answer<Pong> {
    let network = network_of(&state)?;
    let name = NodeName::new(&node).map_err(|e| ApiError::bad_request(e.to_string()))?;
    let known = state.fabric.authority();
    let Some(key) = known.nodes.get(&name) else {
        return Err(ApiError::not_found(format!("no node is called {name}"))
            .hint("`mesh nodes` lists the nodes of the mesh"));
    };
    let unreachable = |error: OpenError| {
        ApiError::new(StatusCode::BAD_GATEWAY, format!("failed to reach {name}: {error}"))
            .hint("`mesh net peers` shows what is known of every link")
    };
    let rtt = network.overlay.ping(*key).await.map_err(unreachable)?;
    let peer = network.overlay.peers().into_iter().find(|peer| peer.key == *key);
    Ok(Json(Pong { rtt_us: micros(rtt), address: peer.and_then(|peer| peer.address) }))
}

/// `POST /v1/tickets`
pub(super) async fn new_ticket(
    State(state): State<ApiState>,
    Json(wish): Json<TicketWish>,
) -> Answer<TicketMade> {
    let network = network_of(&state)?.clone();
    let now = state.clock.now();
    let made = tokio::task::spawn_blocking(move || {
        let desk = &network.desk;
        let certificate = desk.certificate().map_err(ApiError::internal)?;
        let (Some(_), Some(roots)) = (certificate, desk.fabric.roots()) else {
            return Err(ApiError::new(StatusCode::CONFLICT, format!("{} is no issuer", desk.name)).hint(
                format!("ask an issuer (`mesh nodes`), or make it one: `mesh node issuer add {}`", desk.name),
            ));
        };
        let life = Duration::from_millis(wish.ttl_ms);
        let addresses = network.addresses.borrow().clone();
        let (genesis, key) = (*roots.genesis(), desk.key.public_key());
        let made = desk.tickets.issue(genesis, key, addresses, now, life);
        let ticket = made.map_err(|e| ApiError::bad_request(format!("failed to {e}")))?;
        Ok(TicketMade { ticket: ticket.to_text().to_string(), id: ticket.id(), expires: ticket.not_after() })
    });
    made.await.map_err(ApiError::internal)?.map(Json)
}

/// `GET /v1/tickets`
pub(super) async fn tickets(State(state): State<ApiState>) -> Answer<Vec<TicketStatus>> {
    let entries = network_of(&state)?.desk.tickets.list().map_err(ApiError::internal)?;
    let shown = entries.into_iter().map(|entry| TicketStatus {
        id: entry.ticket,
        expires: entry.not_after,
        used_by: entry.redeemed.map(|redeemed| redeemed.name),
    });
    Ok(Json(shown.collect()))
}

/// `POST /v1/tickets/remove`
pub(super) async fn remove_ticket(State(state): State<ApiState>, Json(id): Json<PublicKey>) -> Answer<bool> {
    let network = network_of(&state)?.clone();
    let removed = tokio::task::spawn_blocking(move || network.desk.tickets.remove(&id));
    Ok(Json(removed.await.map_err(ApiError::internal)?.map_err(ApiError::internal)?))
}

/// `GET /v1/operators`
pub(super) async fn operators(State(state): State<ApiState>) -> Json<Vec<OperatorStatus>> {
    let view = state.fabric.view();
    let said = view.operators.values().map(|entry| (entry.value.public_key, &entry.value));
    let mut shown: Vec<OperatorStatus> = said
        .map(|(key, operator)| OperatorStatus {
            name: operator.name.clone(),
            public_key: key,
            fingerprint: key.fingerprint().to_string(),
            removed: operator.removed,
        })
        .collect();
    let listed: BTreeSet<PublicKey> = shown.iter().map(|operator| operator.public_key).collect();
    // Of a mesh on one machine: `mesh.json` names them.
    for key in state.fabric.authority().operators.iter().filter(|key| !listed.contains(key)) {
        let (name, fingerprint) = (String::new(), key.fingerprint().to_string());
        shown.push(OperatorStatus { name, public_key: *key, fingerprint, removed: false });
    }
    Json(shown)
}

/// `GET /v1/policies`
pub(super) async fn policies(State(state): State<ApiState>) -> Json<Vec<PolicyStatus>> {
    let view = state.fabric.view();
    let shown = view.policies.values().map(|entry| PolicyStatus {
        name: entry.value.name.clone(),
        generation: entry.generation,
        writer: entry.writer.fingerprint().to_string(),
        id: entry.id,
        rego: entry.value.rego.clone(),
    });
    Json(shown.collect())
}

/// `GET /v1/identities`
pub(super) async fn identities(State(state): State<ApiState>) -> Json<Vec<IdentityStatus>> {
    let view = state.fabric.view();
    let shown = view.identities.values().map(|entry| IdentityStatus {
        name: entry.value.name.clone(),
        identity: entry.value.identity.clone(),
        issuer: entry.value.issuer.clone(),
        writer: entry.writer.fingerprint().to_string(),
    });
    Json(shown.collect())
}

/// `GET /v1/records/{kind}/{name}`
pub(super) async fn record(
    State(state): State<ApiState>,
    Path((kind, name)): Path<(String, String)>,
) -> Answer<RecordAt> {
    let kind: Kind = kind.parse().map_err(|e: fabric::KindError| ApiError::bad_request(e.to_string()))?;
    let name: RecordName =
        name.parse().map_err(|e: fabric::RecordNameError| ApiError::bad_request(e.to_string()))?;
    let key = Key { kind, namespace: Namespace::default(), owner: Owner::Operator, name };
    let held = state.fabric.record(&key);
    Ok(Json(RecordAt {
        mesh: state.fabric.mesh().to_string(),
        next_generation: state.fabric.next_generation(&key),
        id: held.as_ref().map(Record::id),
        value: held.as_ref().and_then(value_of),
    }))
}

/// `GET /v1/roots`
pub(super) async fn roots(State(state): State<ApiState>) -> Answer<RootsAt> {
    network_of(&state)?;
    let view = state.fabric.view();
    let roots = state.fabric.roots().ok_or_else(|| ApiError::internal("this mesh has no root"))?;
    let said =
        view.operators.values().map(|entry| entry.id).chain(view.issuers.values().map(|entry| entry.id));
    let root: RecordName = ROOT.parse().map_err(ApiError::internal)?;
    Ok(Json(RootsAt {
        roots: roots.to_pem(),
        said: said.collect(),
        next_generation: state.fabric.next_generation_of(Kind::Root, root),
        issuers: view.issuers.values().map(|entry| entry.value.node_id.clone()).collect(),
    }))
}

/// `GET /v1/conflicts`
pub(super) async fn conflicts(State(state): State<ApiState>) -> Json<Vec<Conflict>> {
    let describe = |(lost, won): (Record, Record)| Conflict {
        kind: won.key().kind.to_string(),
        name: won.key().name.as_str().to_owned(),
        generation: won.order().major,
        won: side(&won),
        lost: side(&lost),
    };
    Json(state.fabric.conflicts().into_iter().map(describe).collect())
}

/// `GET /v1/records`
pub(super) async fn held(State(state): State<ApiState>) -> Json<Held> {
    let ids = state.fabric.ids();
    // After the ids were taken: what is on disk then, they were among it.
    let synced = state.fabric.is_synced();
    let bytes: Vec<u8> = ids.iter().flat_map(|id| *id.as_bytes()).collect();
    Json(Held { count: ids.len() as u64, digest: Digest::of(&bytes), synced })
}

/// `GET /v1/written-by/{key}`
pub(super) async fn written_by(State(state): State<ApiState>, Path(key): Path<String>) -> Answer<Written> {
    let named = |record: &Record| RecordName::of_key(&record.writer()).as_str() == key;
    let records = state.fabric.records();
    let mut ids: Vec<_> = records.iter().filter(|record| named(record)).map(Record::id).collect();
    ids.sort_unstable();
    Ok(Json(Written { ids }))
}

fn side(record: &Record) -> Side {
    Side { id: record.id(), writer: record.writer().fingerprint().to_string(), value: value_of(record) }
}

fn value_of(record: &Record) -> Option<serde_json::Value> {
    serde_json::from_slice(record.payload()?).ok()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn network_of(state: &ApiState) -> Result<&Network, ApiError> {
    state.network.as_ref().ok_or_else(|| {
        ApiError::new(StatusCode::CONFLICT, "this mesh is on one machine and has no network")
            .hint("`mesh node init` founds one of many machines, in a state folder of its own")
    })
}
