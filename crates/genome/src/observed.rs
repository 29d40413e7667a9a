//! Observed: what a node has seen of others' wishes, published when it changes and never as a heartbeat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, NodeName, Timestamp};

use crate::{Invalid, Revision};

/// One observation of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Observed {
    /// Who saw it.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// The app it was seen of.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// The release that could not be brought up here; the last one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failure>,
}

/// A release that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Which release.
    pub revision: Revision,
    /// Why, for people.
    pub reason: String,
    /// When it was given up.
    pub at: Timestamp,
}

impl Observed {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        match &self.failed {
            Some(failure) if failure.reason.len() > 4096 => {
                Err(Invalid::new("reason", "longer than 4096 bytes"))
            }
            _ => Ok(()),
        }
    }
}
