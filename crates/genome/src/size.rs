//! Size: how much each replica of a plan gets, where that isn't what the manifest says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Nutrients;

use crate::Invalid;

/// The most an operator may ask for, of each: no machine has more.
const MAX: u64 = 1_000_000_000;

/// How much each replica gets, in place of what its manifest says. It is no part of a release: what runs gets another size as
/// it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// What the nodes learn that it needs; until they know, what they learned of the release before, and until they know that,
    /// what the manifest says.
    Auto,
    /// This.
    Fixed(Fixed),
}

/// What an operator gives; what isn't said is the manifest's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fixed {
    /// Thousandths of one CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u64>,
    /// Memory in MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
}

impl Size {
    /// Whether the numbers can be meant.
    pub(crate) fn validate(self) -> Result<(), Invalid> {
        let Self::Fixed(fixed) = self else { return Ok(()) };
        for (field, value) in [("cpu_milli", fixed.cpu_milli), ("memory_mb", fixed.memory_mb)] {
            match value {
                Some(0) => {
                    return Err(Invalid::new(field, "0 is no size; leave it out to have the manifest's"));
                }
                Some(value) if value > MAX => {
                    return Err(Invalid::new(field, format!("{value} is more than {MAX}")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Fixed {
    /// What a replica gets whose manifest says `manifest`.
    #[must_use]
    pub fn over(&self, manifest: Nutrients) -> Nutrients {
        Nutrients {
            cpu_milli: self.cpu_milli.unwrap_or(manifest.cpu_milli),
            memory_mb: self.memory_mb.unwrap_or(manifest.memory_mb),
        }
    }
}
