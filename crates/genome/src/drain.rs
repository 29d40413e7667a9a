//! Drain: a node that is to get no new work, as an operator signed it; what it has moves away first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::NodeName;

use crate::Invalid;

/// A node to be emptied. Removing the record takes it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Drain {
    /// The node.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
}

impl Drain {
    /// Whether the fields can be meant; all can.
    pub const fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
