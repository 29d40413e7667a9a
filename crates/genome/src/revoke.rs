//! Revoke: a node's key that is out of the mesh for good, as an operator signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{NodeName, PublicKey};

use crate::Invalid;
use crate::invalid::check_text;

/// A revoked key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revoke {
    /// The key; as an issuer's too.
    pub public_key: PublicKey,
    /// The node that had it, for people: the name itself is free again.
    pub name: NodeName,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

impl Revoke {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_text("reason", &self.reason, 256)
    }
}
