//! A figure by which a workload says how much work it has.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of a metric's name and path.
const MAX_TEXT: usize = 200;

/// What a workload exposes of its load, and how much of that one replica is meant to have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metric {
    /// Its name in the Prometheus text that a replica serves on `127.0.0.1:$PORT`; several samples are added up.
    pub metric: String,
    /// The path that the text is served at.
    #[serde(default = "default_path")]
    pub path: String,
    /// How much of it one replica is meant to have.
    pub target: u64,
    /// What the figures of several replicas come to.
    #[serde(default)]
    pub aggregate: Aggregate,
}

/// What the figures of several replicas come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Their sum: each tells of its own part.
    #[default]
    Sum,
    /// The largest: each tells of the whole, such as the depth of a queue that all share.
    Max,
}

impl Metric {
    /// What is wrong with it, and in which field.
    pub fn problem(&self) -> Option<(&'static str, String)> {
        let name = self.metric.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
        if !name || self.metric.is_empty() || self.metric.len() > MAX_TEXT {
            return Some(("metric", format!("{:?} is not the name of a metric", self.metric)));
        }
        let path = self.path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !path || !self.path.starts_with('/') || self.path.len() > MAX_TEXT {
            return Some((
                "path",
                "must begin with '/' and be printable ASCII without spaces or '#'".to_owned(),
            ));
        }
        (self.target == 0).then(|| ("target", "0, but a replica has at least 1 of it to do".to_owned()))
    }
}

fn default_path() -> String {
    "/metrics".to_owned()
}
