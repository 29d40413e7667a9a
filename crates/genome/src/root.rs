//! RootChange: the root that holds now and how it came to, as that root itself signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Digest;

use crate::Invalid;
use crate::invalid::{check_keeps, check_text};

/// More successions than a mesh will ever need.
const MAX_SUCCESSIONS: usize = 32;
/// More text than a succession has, with all it may carry.
const MAX_SUCCESSION: usize = 2048;
/// So many ids fit into a record beside the longest successions.
const MAX_KEEPS: usize = 400;

/// From the mesh's genesis to the root that signs this.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootChange {
    /// The messages of the recovery keys (PEM), oldest first, from the first after the genesis on.
    pub successions: Vec<String>,
    /// The ids of the `operator` and `issuer` records of earlier roots that stay valid.
    #[serde(default)]
    pub keeps: Vec<Digest>,
}

impl RootChange {
    /// Whether the fields can be meant; the successions are text here.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.successions.len() > MAX_SUCCESSIONS {
            return Err(Invalid::new("successions", format!("more than {MAX_SUCCESSIONS}")));
        }
        self.successions.iter().try_for_each(|text| check_text("successions", text, MAX_SUCCESSION))?;
        check_keeps(&self.keeps, MAX_KEEPS)
    }
}
