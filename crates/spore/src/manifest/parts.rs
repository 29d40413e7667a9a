//! The smaller objects inside a manifest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::Nutrients;

/// What the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Kind {
    /// A spore's manifest.
    Spore,
}

/// A protocol that a service speaks on its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Provides {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS, as gRPC uses it.
    H2c,
    /// Bytes over TCP.
    Tcp,
}

/// What one replica needs, and how much it may use of what isn't planned with; what is left out has the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Needs {
    /// Thousandths of one CPU.
    pub cpu_milli: u64,
    /// Memory in MiB.
    pub memory_mb: u64,
    /// The most processes and threads at once (1,024).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pids: Option<u32>,
    /// The most files and sockets that one of its processes has open (65,536).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub open_files: Option<u32>,
    /// Its share of the disks when others want them too, 1 to 10,000 (100).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<u16>,
    /// How much of its output is kept, in MiB (10).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_mb: Option<u32>,
}

impl Needs {
    /// What a plan reckons with.
    #[must_use]
    pub const fn planned(&self) -> Nutrients {
        Nutrients { cpu_milli: self.cpu_milli, memory_mb: self.memory_mb }
    }
}

/// Service level objectives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Slo {
    /// The response time that 99 of 100 requests should stay under, in milliseconds.
    pub p99_budget_ms: u64,
}

/// How a workload wants to be confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Security {
    /// `default` (`demo` is the same), `strict`, `unconfined`, or the name of a profile of one's own.
    pub lsm_profile: String,
    /// Whether its file system is read-only.
    pub read_only_fs: bool,
}

/// How a service says that it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Health {
    /// The path that answers 200.
    pub path: String,
    /// How long it may take from its start to its first 200, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for Health {
    fn default() -> Self {
        Self { path: "/health".to_owned(), timeout_ms: 6_000 }
    }
}
