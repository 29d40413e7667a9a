//! What the mesh has learned that an app's replicas need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, Nutrients};

/// `GET /v1/apps/{app}/advice`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Advice {
    /// The app.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// The spore that runs.
    pub digest: Digest,
    /// Its version.
    pub version: String,
    /// What each replica gets now.
    pub now: Nutrients,
    /// The same in a sentence, with the reason.
    pub now_because: String,
    /// What its manifest says.
    pub manifest: Nutrients,
    /// Whether its plan follows what is learned.
    pub auto: bool,
    /// What each replica should get; absent until there is enough evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advised: Option<Nutrients>,
    /// It needs more than that, and its budget, or four times its manifest's size, is the limit.
    #[serde(default)]
    pub held: bool,
    /// On what that is based.
    pub evidence: Evidence,
}

/// What was seen of the replicas of a release, on all nodes, the newer counting more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// How many nodes have seen some.
    pub nodes: u32,
    /// How often they were measured.
    pub samples: u64,
    /// For how many seconds, all replicas together.
    pub observed_s: u64,
    /// How much of the evidence that is needed there is, in thousandths.
    pub enough_permille: u64,
    /// How often the kernel ended one for lack of memory under its own limit.
    pub oom_kills: u64,
    /// Thousandths of a CPU, over time; absent where no node can count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<Spread>,
    /// Peaks of memory in MiB, over windows; absent where no node can count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<Spread>,
    /// Milliseconds from a start until it was ready; absent for what has no health check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<Spread>,
}

/// How values were spread: so many of a hundred were at most so high.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// Half of them.
    pub p50: u64,
    /// 90.
    pub p90: u64,
    /// 95.
    pub p95: u64,
    /// 99.
    pub p99: u64,
    /// The highest that isn't forgotten.
    pub max: u64,
}
