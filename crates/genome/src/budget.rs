//! Budget: what one app may hold over the whole mesh, as an operator signed it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Nutrients};

use crate::Invalid;

/// The caps of one app; a zero caps at zero. Without a budget, the plan's `max` alone caps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// The app it caps.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// The most replicas.
    #[serde(rename = "maxInstances")]
    pub max_instances: u32,
    /// Thousandths of a CPU, summed over all replicas.
    pub cpu_milli: u64,
    /// MiB, summed over all replicas.
    pub memory_mb: u64,
}

impl Budget {
    /// How many replicas of `each` fit.
    #[must_use]
    pub fn instances(&self, each: Nutrients) -> u32 {
        let fits = |cap: u64, need: u64| {
            cap.checked_div(need).map_or(u32::MAX, |n| n.try_into().unwrap_or(u32::MAX))
        };
        self.max_instances.min(fits(self.cpu_milli, each.cpu_milli)).min(fits(self.memory_mb, each.memory_mb))
    }

    /// Whether the numbers can be meant; every number can.
    pub const fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}
