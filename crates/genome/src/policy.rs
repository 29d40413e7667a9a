//! Policy: a rule over what may run, as an operator signed it. Whether it compiles is not asked here: a node that can't
//! evaluate what it holds lets nothing start.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::AppName;

use crate::Invalid;

/// The most bytes of Rego: with what JSON adds it has to fit into a record.
const MAX_REGO_BYTES: usize = 48 * 1024;

/// A policy in Rego. All that hold are evaluated together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// What it is called; a name of the form that apps have.
    pub name: AppName,
    /// Its text. Every value of `deny` in `package mesh.admission` is a reason not to start a replica.
    pub rego: String,
}

impl Policy {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.rego.trim().is_empty() {
            return Err(Invalid::new("rego", "empty"));
        }
        if self.rego.len() > MAX_REGO_BYTES {
            let length = self.rego.len();
            return Err(Invalid::new("rego", format!("{length} bytes are more than {MAX_REGO_BYTES}")));
        }
        Ok(())
    }
}
