//! The smaller objects inside a manifest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
