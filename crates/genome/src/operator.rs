//! Operator: a person's key whose records are obeyed, as the mesh's root signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{Digest, PublicKey};

use crate::Invalid;
use crate::invalid::{check_keeps, check_text};

/// So many ids fit into a record.
const MAX_KEEPS: usize = 800;

/// An operator, or one who was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// The operator's key.
    pub public_key: PublicKey,
    /// Whose it is, for people.
    #[serde(default)]
    pub name: String,
    /// Whether the key may write nothing new any more.
    #[serde(default)]
    pub removed: bool,
    /// When removed: the ids of the records by that key which stay valid. All others leave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keeps: Vec<Digest>,
}

impl Operator {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_text("name", &self.name, 64)?;
        if !self.removed && !self.keeps.is_empty() {
            return Err(Invalid::new("keeps", "all records of an operator that isn't removed are valid"));
        }
        check_keeps(&self.keeps, MAX_KEEPS)
    }
}
