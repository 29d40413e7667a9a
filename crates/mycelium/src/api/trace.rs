//! What replicas do, as the kernel tells it.

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, NodeName, ReplicaName, Timestamp};

/// Query of `GET /v1/trace/{app}` (answer: one [`Trace`] a line, NDJSON, for as long as it is read)
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct TraceQuery {
    /// Only this replica.
    #[serde(default)]
    pub replica: Option<ReplicaName>,
    /// Only replicas of the node that is asked.
    #[serde(default)]
    pub here: bool,
}

/// One thing that a replica did, or was kept from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// When.
    pub at: Timestamp,
    /// The node.
    #[serde(rename = "nodeID")]
    pub node: NodeName,
    /// The app.
    #[serde(rename = "appName")]
    pub app: AppName,
    /// The replica.
    pub replica: ReplicaName,
    /// The process, as its machine numbers it; absent where it was no single one's doing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// What the process calls itself, up to 15 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// What.
    #[serde(flatten)]
    pub what: TraceWhat,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TraceWhat {
    /// A program was executed.
    Exec {
        /// Its path as it was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        program: Option<String>,
    },
    /// A process ended.
    Exit {
        /// With this status,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
        /// or by this signal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
    },
    /// A connection was asked for, and let through.
    Connect {
        /// `tcp`, `udp`, or a number.
        protocol: String,
        /// Where to.
        address: SocketAddr,
    },
    /// It was kept from something that its reach doesn't list.
    Refused {
        /// What it tried: `connect`, `send`, `bind`, `socket`; `receive` and `transmit` for a packet that no call had
        /// asked for.
        call: String,
        /// `tcp`, `udp`, or a number.
        protocol: String,
        /// Where to, or where from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<SocketAddr>,
    },
    /// This replica is only glanced at, so often: what comes and goes in between, how processes end, datagrams, and what
    /// is refused isn't seen.
    Sampled {
        /// Milliseconds from one glance to the next.
        every_ms: u64,
        /// Why the kernel doesn't tell what it does.
        why: String,
    },
    /// So much was counted and not told, for want of room.
    Lost {
        /// How many.
        count: u64,
    },
}
