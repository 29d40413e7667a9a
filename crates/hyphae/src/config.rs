//! What an overlay is started with, and the bounds on what others may cost us.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::{Gate, Protocol};

/// What an overlay is started with.
pub struct Config {
    /// The seed of the node's Ed25519 key (RFC 8032 §5.1.5): its identity towards every peer.
    pub key: Zeroizing<[u8; 32]>,
    /// Where to listen (UDP), at least one address; port 0 is the system's choice. Of each family the first one is
    /// where dials to elsewhere go out.
    pub listen: Vec<SocketAddr>,
    /// Who may speak what.
    pub gate: Arc<dyn Gate>,
    /// What is served, by name: 1 to 32 characters of `a-z`, `0-9`, `-`, `.` and `/`.
    pub protocols: BTreeMap<String, Protocol>,
    /// The bounds.
    pub limits: Limits,
}

/// Bounds on time, memory and numbers. The defaults suit a mesh of machines; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// How long a dial may take, over all addresses of the peer together.
    pub dial: Duration,
    /// After this long without use a connection is closed.
    pub idle: Duration,
    /// How often an unused connection is checked for life.
    pub keep_alive: Duration,
    /// After this long without any packet from the peer a connection is dead.
    pub dead: Duration,
    /// How many streams a peer may have open towards us at once; more wait on its side.
    pub streams: u32,
    /// How many bytes of one stream may wait for a slow reader here.
    pub stream_window: u32,
    /// How many bytes of all streams of one connection may wait for slow readers here.
    pub connection_window: u32,
    /// How many bytes of messages may wait for one peer and protocol; a message beyond is refused.
    pub outbox_bytes: usize,
    /// How many messages may wait for one peer and protocol.
    pub outbox_messages: usize,
    /// How many peers the address book holds.
    pub peers: usize,
    /// How many addresses one peer may have.
    pub addresses: usize,
    /// How many connections peers may have opened towards us in all.
    pub connections: usize,
    /// How many handshakes may be under way with peers that dial us.
    pub handshakes: usize,
    /// How many strangers may be connected at once (those who are not admitted to ping).
    pub strangers: usize,
    /// How long a stranger may stay.
    pub stranger_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dial: Duration::from_secs(3),
            idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(6),
            dead: Duration::from_secs(15),
            streams: 1_024,
            stream_window: 1 << 20,
            connection_window: 128 << 20,
            outbox_bytes: 4 << 20,
            outbox_messages: 1_024,
            peers: 65_536,
            addresses: 16,
            connections: 16_384,
            handshakes: 256,
            strangers: 64,
            stranger_time: Duration::from_secs(30),
        }
    }
}
