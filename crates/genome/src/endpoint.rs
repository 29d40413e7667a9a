//! Endpoint: one replica as its node reports it, from the first pull to the last exit status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, NodeName, ReplicaName, Timestamp};

use crate::{Invalid, Revision};

/// One replica of an app on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// The app it is a replica of.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// Where it listens, as its own node reaches it (`http://127.0.0.1:8081`); empty without a port.
    #[serde(default)]
    pub url: String,
    /// The node that runs it.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Its name, unique on the node.
    pub replica: ReplicaName,
    /// The place in the app it fills, from 0.
    pub slot: u32,
    /// The spore it runs.
    pub digest: Digest,
    /// The version that spore states.
    #[serde(default)]
    pub version: String,
    /// What exactly it runs.
    pub revision: Revision,
    /// Where in its life it is. Only `ready` gets new requests.
    pub state: ReplicaState,
    /// It has been ready for its plan's warm-up; said where a rollout waits for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warm: bool,
    /// What it speaks: `http`, `h2c`, `tcp`; empty for a worker or a job.
    #[serde(default)]
    pub provides: Vec<String>,
    /// How often this slot was started again on this node after a crash or a failed probe.
    #[serde(default)]
    pub restarts: u32,
    /// Its process, on its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// How it ended, when it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Why it is in this state, for people; empty when there is nothing to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when it is in this state.
    pub since: Timestamp,
}

/// Where a replica is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReplicaState {
    /// Its spore is on the way.
    Pulling,
    /// Its spore is being checked and extracted.
    Verifying,
    /// Its process runs; its health check has not passed yet.
    Launching,
    /// It takes requests (a service), or runs (a worker, a job).
    Ready,
    /// It finishes the requests it has and gets no new ones.
    Draining,
    /// It ended or failed and will be started again.
    Backoff,
    /// A job that is done.
    Completed,
    /// It can't run here: the message says why. Nothing happens until the plan changes.
    Refused,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Endpoint {
    /// Whether new requests may be sent to it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.state == ReplicaState::Ready
    }

    /// Whether the fields fit together.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.message.len() > 4096 {
            return Err(Invalid::new("message", "longer than 4096 bytes"));
        }
        if !self.url.is_empty() && !self.url.starts_with("http://") && !self.url.starts_with("tcp://") {
            return Err(Invalid::new("url", "neither http:// nor tcp://"));
        }
        Ok(())
    }
}

impl Exit {
    /// Whether it counts as success.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

impl std::fmt::Display for ReplicaState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Pulling => "pulling",
            Self::Verifying => "verifying",
            Self::Launching => "launching",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Backoff => "backoff",
            Self::Completed => "completed",
            Self::Refused => "refused",
        })
    }
}
