//! Issuer: a node that may let others in, as the mesh's root signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{NodeName, PublicKey};

use crate::Invalid;
use crate::invalid::check_text;

/// More text than a certificate has, with all it may carry.
const MAX_CERTIFICATE: usize = 2048;

/// An issuer and its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// The node.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// The node's key.
    pub public_key: PublicKey,
    /// What the root signed for that key (PEM).
    pub certificate: String,
}

impl Issuer {
    /// Whether the fields can be meant; the certificate is text here.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_text("certificate", &self.certificate, MAX_CERTIFICATE)
    }
}
