//! Requests and responses of the local API, version 1.

use std::collections::BTreeMap;
use std::path::PathBuf;

use genome::{Budget, Endpoint, Node, Plan, Revision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, NodeName, Nutrients, PublicKey, ReplicaName, Timestamp};

/// `GET /v1/version`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct VersionInfo {
    /// The identity of the running `mesh`, `v{semver}-{7-digit sha}`.
    pub version: String,
    /// The version of this API.
    pub api: u32,
    /// Its process.
    pub pid: u32,
}

/// `GET /v1/status`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MeshStatus {
    /// The mesh's identity.
    pub mesh: String,
    /// The identity of the running `mesh`.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// The process that holds the replicas.
    pub keeper_pid: Option<u32>,
    /// The state folder.
    pub state: PathBuf,
    /// The repo folder.
    pub repo: PathBuf,
    /// Since when this process runs.
    pub started_at: Timestamp,
    /// Where HTTP comes in.
    pub edge: EdgeStatus,
    /// Where metrics are served, `http://…/metrics`.
    pub admin: Option<String>,
    /// The warm-up that plans get unless they say otherwise, in milliseconds.
    pub warmup_ms: u64,
    /// Every node, by name.
    pub nodes: Vec<NodeStatus>,
    /// Every app, by name.
    pub apps: Vec<AppStatus>,
    /// Writes that lost against another of the same generation, in words.
    pub conflicts: Vec<String>,
    /// How many records this node keeps out, since it ended over them.
    #[serde(default)]
    pub quarantined: usize,
}

/// One of `GET /v1/quarantine`: a record that this node keeps out, since it ended over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quarantined {
    /// The record.
    pub id: Digest,
    /// What it is about.
    pub what: String,
    /// How this node ended.
    pub reason: String,
    /// When it was put into quarantine.
    pub at: Timestamp,
}

/// Where HTTP comes in.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct EdgeStatus {
    /// The base URL, `http://127.0.0.1:8080`.
    pub url: String,
    /// The addresses it listens on.
    pub addresses: Vec<String>,
}

/// One node.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// What it says of itself.
    #[serde(flatten)]
    pub node: Node,
    /// As in [`MemberStatus::state`](super::MemberStatus::state), or `drained` where it is here and gives its work away.
    #[serde(default)]
    pub state: String,
    /// What is promised to replicas there.
    pub promised: Nutrients,
    /// How many replicas are there, in any state that holds a process.
    pub replicas: u32,
}

/// `GET /v1/apps/{app}`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppStatus {
    /// Its name.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// The generation of its plan.
    pub generation: u64,
    /// The version that should run, after a roll-back the one before.
    pub version: String,
    /// The spore that should run, after a roll-back the one before.
    pub digest: Digest,
    /// What exactly should run.
    pub revision: Revision,
    /// All in one word.
    pub state: AppState,
    /// Why, when there is something to say.
    pub message: String,
    /// How far its rollout is, while some replicas wait for others to be proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// The plan's bounds.
    pub min: u32,
    /// The plan's bounds.
    pub max: u32,
    /// Replicas that should run now.
    pub wanted: u32,
    /// Replicas of the right revision that are ready (or, for a job, completed).
    pub ready: u32,
    /// What each replica gets of its node.
    #[serde(default)]
    pub size: Nutrients,
    /// The same in a sentence, with the reason, where that isn't the manifest alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sized: Option<String>,
    /// Its budget, when it has one.
    pub budget: Option<Budget>,
    /// Its URL at the edge, when it takes HTTP.
    pub url: Option<String>,
    /// What the edge here saw of it.
    pub traffic: Traffic,
    /// Every replica that is known, whatever its state.
    pub replicas: Vec<Endpoint>,
}

/// The state of an app in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AppState {
    /// All that is wanted is ready, and nothing else is left.
    Ready,
    /// On the way: replicas start, warm up or leave.
    Progressing,
    /// Less than wanted is ready, and it isn't known to be on the way: no room, refused, backing off.
    Degraded,
    /// The plan's release failed; the one before runs.
    RolledBack,
    /// The plan asks for none.
    Stopped,
    /// Nobody asks for it; the next request wakes it.
    Asleep,
    /// A job, all of whose replicas are done.
    Completed,
}

/// What an edge counted since it started.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct Traffic {
    /// Requests answered.
    pub requests: u64,
    /// Of them with a 5xx status.
    pub errors_5xx: u64,
    /// Requests open now.
    pub open: u64,
    /// Median latency in milliseconds; 0 without requests.
    pub p50_ms: f64,
    /// 99th percentile of latency in milliseconds; 0 without requests.
    pub p99_ms: f64,
}

/// `GET /v1/apps/{app}/plan`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PlanAt {
    /// The generation that a new plan must carry to win.
    pub next_generation: u64,
    /// The generation of the current plan, 0 without one.
    pub generation: u64,
    /// The current plan.
    pub plan: Option<Plan>,
    /// Whether the planner fell back to its `previous`.
    pub rolled_back: bool,
    /// Whether some replicas still wait to take its release.
    #[serde(default)]
    pub unfinished: bool,
}

/// `GET /v1/apps/{app}/budget`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BudgetAt {
    /// The generation that a new budget must carry to win.
    pub next_generation: u64,
    /// The current budget.
    pub budget: Option<Budget>,
}

/// `GET /v1/apps/{app}/why`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The app.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// In one word.
    pub state: AppState,
    /// One sentence.
    pub summary: String,
    /// Why there are as many replicas as there are, how large they are, and how fast its error budget is used up here.
    #[serde(default)]
    pub scale: Vec<String>,
    /// For every node why it runs or doesn't run a replica.
    pub nodes: BTreeMap<NodeName, String>,
    /// Replicas that have something to say: state and reason.
    pub replicas: Vec<String>,
    /// The last events of the app, oldest first.
    pub events: Vec<telemetry::Event>,
}

/// `POST /v1/records` (body: one signed record in wire form)
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// The generation that was written.
    pub generation: u64,
    /// On how many nodes it is synced to disk.
    pub nodes: u32,
    /// How far it is safe, for people: `on this node only`.
    pub safe: String,
}

/// `POST /v1/spores` (body: the bundle)
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Stored {
    /// Its address.
    pub digest: Digest,
    /// Where it lies.
    pub path: PathBuf,
}

/// `GET /v1/spores/{digest}`, and the rows of `GET /v1/spores`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SporeInfo {
    /// Its address.
    pub digest: Digest,
    /// Size of the file.
    pub bytes: u64,
    /// When it was stored.
    pub stored_at: Timestamp,
    /// Its manifest; `null` when it can't be read.
    pub manifest: Option<serde_json::Value>,
    /// Who signed it.
    pub public_key: Option<PublicKey>,
    /// The same for people.
    pub fingerprint: Option<String>,
    /// Whether this node would run it.
    pub trusted: bool,
    /// Why it can't be read.
    pub error: Option<String>,
}

/// `POST /v1/spores/gc`
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Collected {
    /// What was removed.
    pub removed: Vec<Digest>,
    /// How many bytes that freed.
    pub bytes: u64,
}

/// Query of `GET /v1/events` (answer: one event a line, NDJSON)
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct EventQuery {
    /// Only events after this one.
    #[serde(default)]
    pub since: u64,
    /// Only the last so many of what there is.
    #[serde(default)]
    pub tail: Option<usize>,
    /// Go on with what happens.
    #[serde(default)]
    pub follow: bool,
    /// Only this app.
    #[serde(default)]
    pub app: Option<AppName>,
}

/// Query of `GET /v1/logs/{app}` (answer: one [`LogLine`] a line, NDJSON)
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct LogQuery {
    /// The last so many lines of each replica; all when absent.
    #[serde(default)]
    pub tail: Option<usize>,
    /// Go on with what is written, by new replicas too.
    #[serde(default)]
    pub follow: bool,
    /// Only this replica.
    #[serde(default)]
    pub replica: Option<ReplicaName>,
    /// Only replicas of the node that is asked.
    #[serde(default)]
    pub here: bool,
}

/// One line that a workload wrote.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// When it was read.
    pub at: Timestamp,
    /// `out`, `err`, or `keeper` where the keeper speaks of the log itself.
    pub stream: String,
    /// The node.
    #[serde(rename = "nodeID")]
    pub node: NodeName,
    /// The replica.
    pub replica: ReplicaName,
    /// The text, invalid UTF-8 replaced.
    pub line: String,
    /// The line goes on in the next one of this replica and stream.
    #[serde(default)]
    pub more: bool,
}

/// `POST /v1/shutdown`; answered at once, done when the process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "mode")]
pub enum Shutdown {
    /// Stops every replica and the keeper as well.
    Stop,
    /// Gives state, keeper and sockets to a successor: reconciling ends and the journal is closed before the
    /// answer; open requests are finished, then the process ends.
    HandOver,
}

/// The body of every status of 400 and above.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What happened, to which thing.
    pub error: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
