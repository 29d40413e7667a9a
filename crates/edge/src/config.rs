//! How an edge is set up: how many workers, how long and how large things may be.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use types::AppName;

use crate::trace::Tracing;

/// The set-up of an [`crate::Edge`].
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Threads, each with its own sockets, connections and pools. 0: one a core.
    pub workers: usize,
    /// Host names that stand for an app, beside `{app}.mesh.internal`; in lower case, without a port.
    pub hosts: BTreeMap<String, AppName>,
    /// Serve this over TLS on listeners that are started by [`crate::Edge::start_tls`].
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Record requests so; without it contexts are passed on as they come.
    pub tracing: Option<Tracing>,
    /// Bounds on what outsiders may use.
    pub limits: Limits,
}

/// Bounds: everything an outsider controls has one. The defaults suit a public edge.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of a request's head (at most 32 KiB; a workload's may have 32 KiB).
    pub head_bytes: usize,
    /// Header lines of a message.
    pub head_fields: usize,
    /// Time from a connection's or request's first byte to the end of the head, TLS handshake included.
    pub head_time: Duration,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// Bytes a second a client has to send or take while it is its turn.
    pub min_rate: u32,
    /// How long a client may stay below `min_rate` in sum.
    pub rate_grace: Duration,
    /// How long a connection may wait for its next request.
    pub idle: Duration,
    /// Client connections of one worker; more wait to be accepted.
    pub connections: usize,
    /// Time to connect to a workload's socket. Tunnels have bounds of their own.
    pub connect: Duration,
    /// Time from the end of a request to the head of its response.
    pub response: Duration,
    /// How long a body or tunnel that has begun may be silent.
    pub silence: Duration,
    /// How long an idle connection to a workload is kept. Below the 5 s after which many servers close theirs.
    pub pool_idle: Duration,
    /// Idle connections kept to one endpoint by one worker.
    pub pool_size: usize,
    /// Open streams of one HTTP/2 connection.
    pub streams: u32,
    /// Endpoints a request is tried on at most.
    pub attempts: u32,
    /// Requests that one worker holds for apps that sleep.
    pub held: usize,
    /// How long one is held at most.
    pub hold: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 16 * 1024,
            head_fields: 100,
            head_time: Duration::from_secs(10),
            body_bytes: 16 << 30,
            min_rate: 240,
            rate_grace: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            connections: 16 * 1024,
            connect: Duration::from_secs(1),
            response: Duration::from_secs(60),
            silence: Duration::from_secs(900),
            pool_idle: Duration::from_secs(4),
            pool_size: 256,
            streams: 128,
            attempts: 4,
            held: 1024,
            hold: Duration::from_secs(10),
        }
    }
}
