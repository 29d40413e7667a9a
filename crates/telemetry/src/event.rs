//! Events: what happened, once, to which thing. They are facts for people and programs, not state:
//! nothing in the mesh is decided by reading them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, NodeName, ReplicaName, Timestamp};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Rises by one with each event of this machine; survives restarts.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// The node it happened on.
    #[serde(rename = "nodeID", default, skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeName>,
    /// The app it is about.
    #[serde(rename = "appName", default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// The replica it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<ReplicaName>,
    /// For people: what, why, and what to do about it.
    pub message: String,
}

/// The kinds of events. The first five are the specification's (F7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A node has taken note of a plan.
    PlanReceived,
    /// A replica's process is being started.
    LaunchStart,
    /// A replica's health check passed for the first time.
    HealthOk,
    /// A replica's health check failed, or did not pass in time.
    HealthFail,
    /// A replica's endpoint takes requests from now on.
    EndpointRegister,
    /// A replica's process ended.
    ProcessExit,
    /// A replica finishes its open requests.
    DrainStart,
    /// A replica left because it was asked to.
    ReplicaStopped,
    /// A spore may not run here: unsigned, untrusted, altered or unfit.
    SporeRefused,
    /// A replica was refused what its reach doesn't list.
    ReachRefused,
    /// A release failed and the one before it runs again.
    RolledBack,
    /// A replica was given a secret; the message says which version of which, and never what it is.
    SecretDelivered,
    /// A replica that runs was given newer secrets or configs and told by a signal, or why it is replaced instead.
    Renewed,
    /// The mesh on this machine started, stopped or was handed over.
    Mesh,
}

impl EventKind {
    /// The kind as it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlanReceived => "plan-received",
            Self::LaunchStart => "launch-start",
            Self::HealthOk => "health-ok",
            Self::HealthFail => "health-fail",
            Self::EndpointRegister => "endpoint-register",
            Self::ProcessExit => "process-exit",
            Self::DrainStart => "drain-start",
            Self::ReplicaStopped => "replica-stopped",
            Self::SporeRefused => "spore-refused",
            Self::ReachRefused => "reach-refused",
            Self::RolledBack => "rolled-back",
            Self::SecretDelivered => "secret-delivered",
            Self::Renewed => "renewed",
            Self::Mesh => "mesh",
        }
    }
}
