//! Identity: somebody whom an identity provider knows by a name, and whose word for a publisher's key counts, as an
//! operator signed it. Whether a word is theirs is asked of a Sigstore bundle, under the root that stands here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::AppName;

use crate::Invalid;

/// The most bytes of the root: with what JSON adds it has to fit into a record.
const MAX_ROOT_BYTES: usize = 48 * 1024;

/// Who may vouch for publishers' keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Identity {
    /// What it is called here; a name of the form that apps have.
    pub name: AppName,
    /// The subject of the certificate, exactly: an e-mail address, or the URI of a workflow.
    pub identity: String,
    /// The identity provider's URL, exactly.
    pub issuer: String,
    /// Whose certificates and logs are believed: the text of a Sigstore `trusted_root.json`.
    #[serde(rename = "trustedRoot")]
    pub trusted_root: String,
}

impl Identity {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        for (field, text) in [("identity", &self.identity), ("issuer", &self.issuer)] {
            if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
                return Err(Invalid::new(field, "must be 1 to 1024 bytes without control characters"));
            }
        }
        let length = self.trusted_root.len();
        if length == 0 || length > MAX_ROOT_BYTES {
            return Err(Invalid::new(
                "trustedRoot",
                format!("{length} bytes are not between 1 and {MAX_ROOT_BYTES}"),
            ));
        }
        Ok(())
    }
}
