//! Trust: a publisher whose spores may run anywhere in the mesh, as an operator signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::PublicKey;

use crate::Invalid;

/// A trusted publisher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// The publisher's key.
    pub public_key: PublicKey,
    /// Whose it is, for people.
    #[serde(default)]
    pub comment: String,
}

impl Trust {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.comment.len() > 256 {
            return Err(Invalid::new("comment", "longer than 256 bytes"));
        }
        Ok(())
    }
}
