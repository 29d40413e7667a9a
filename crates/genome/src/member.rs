//! Member: a node's own proof that it was let into the mesh, under the name it has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::NodeName;

use crate::Invalid;
use crate::invalid::check_text;

/// More text than two certificates have, with all they may carry.
const MAX_CHAIN: usize = 4096;

/// A member and its papers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Member {
    /// The node's name.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// The node's membership and its issuer's certificate (PEM).
    pub chain: String,
}

impl Member {
    /// Whether the fields can be meant; the chain is text here.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_text("chain", &self.chain, MAX_CHAIN)
    }
}
