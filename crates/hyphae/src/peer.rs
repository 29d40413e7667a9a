//! What there is to tell about a peer.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use types::PublicKey;

use crate::table::Entry;

/// A peer that is connected, or was tried.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Who.
    pub key: PublicKey,
    /// Where packets to it go; `None` while it isn't connected.
    pub address: Option<SocketAddr>,
    /// The smoothed round-trip time of its packets (RFC 9002 §5), without any work on the other side.
    pub rtt: Option<Duration>,
    /// Bytes sent on its connections, in UDP payloads.
    pub sent: u64,
    /// Bytes received on its connections, in UDP payloads.
    pub received: u64,
    /// When the connection in use was ready.
    pub since: Option<SystemTime>,
    /// How many connections there are: two after both sides dialled at once, until one of them is idle.
    pub connections: usize,
    /// How many streams are open on them.
    pub streams: usize,
    /// What went wrong last, if it isn't connected since.
    pub error: Option<String>,
}

impl Peer {
    pub(crate) fn of(key: PublicKey, entry: &Entry) -> Self {
        let open: Vec<_> = entry.links.iter().filter(|link| link.is_open()).collect();
        let used = open.first();
        // a connection that has just ended is still there until its task has noticed
        let ended = || entry.links.iter().find_map(|link| link.why());
        let error = if open.is_empty() { ended().or(entry.error.clone()) } else { None };
        let stats: Vec<_> = open.iter().map(|link| link.connection.stats()).collect();
        Self {
            key,
            address: used.map(|link| link.address()),
            rtt: used.map(|link| link.connection.rtt()),
            sent: stats.iter().map(|stats| stats.udp_tx.bytes).sum(),
            received: stats.iter().map(|stats| stats.udp_rx.bytes).sum(),
            since: used.map(|link| link.since),
            connections: open.len(),
            streams: open.iter().map(|link| link.active()).sum(),
            error,
        }
    }
}
