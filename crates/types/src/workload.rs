//! What kind of process a workload is, and what one copy of it needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of process a spore holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Workload {
    /// Listens on `PORT`, answers its health check, runs for ever.
    #[default]
    Service,
    /// No port; runs for ever.
    Worker,
    /// No port; ends. Exit status 0 completes it, any other is tried again.
    Job,
}

/// A resource envelope: the seed's nutrients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nutrients {
    /// Thousandths of one CPU.
    pub cpu_milli: u64,
    /// Memory in MiB.
    pub memory_mb: u64,
}
