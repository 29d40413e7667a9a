//! What replicas use, and what apps have left of what they don't.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, NodeName, Nutrients, ReplicaName, Timestamp};

/// Query of `GET /v1/usage`
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct UsageQuery {
    /// Only this app.
    #[serde(default)]
    pub app: Option<AppName>,
    /// Only the nodes of the process that is asked.
    #[serde(default)]
    pub here: bool,
}

/// What was last read on one node: each second or so, less often where there are many replicas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeUsage {
    /// The node.
    #[serde(rename = "nodeID")]
    pub node: NodeName,
    /// When it was read; absent where nothing has run yet, or the node doesn't answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Why nothing is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// What the node can promise to replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Nutrients>,
    /// How each app that has a baseline stands there.
    pub apps: Vec<AppUsage>,
    /// Every replica whose use is counted.
    pub replicas: Vec<ReplicaUsage>,
}

/// How an app stands on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AppUsage {
    /// The app.
    #[serde(rename = "appName")]
    pub app: AppName,
    /// What its replicas there are planned with, in thousandths of a CPU.
    pub baseline_milli: u64,
    /// What they use, the same.
    pub used_milli: u64,
    /// What it has left of what it didn't use, in microseconds of a CPU.
    pub credits_us: u64,
    /// The most that it may have.
    pub cap_us: u64,
    /// What it gets while the CPUs are wanted by more than there are, in thousandths of one.
    pub weight_milli: u64,
    /// Whether it pays for more than its baseline.
    pub bursts: bool,
}

/// What one replica uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaUsage {
    /// The replica.
    pub replica: ReplicaName,
    /// Its app.
    #[serde(rename = "appName")]
    pub app: AppName,
    /// Its process.
    pub pid: u32,
    /// Whether it serves.
    pub ready: bool,
    /// What it is planned with.
    pub nutrients: Nutrients,
    /// What it gets while the CPUs are wanted by more than there are, in thousandths of one.
    pub weight_milli: u64,
    /// What it used of a CPU since the reading before, in thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u64>,
    /// All that it ever used of one, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Bytes of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// The most it ever had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_peak: Option<u64>,
    /// The most it may have; absent without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<u64>,
    /// Processes and threads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    /// Bytes a second that it read from disks and wrote to them since the reading before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_rate: Option<u64>,
}
