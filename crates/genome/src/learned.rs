//! Learned: what one node has seen that replicas of an app need, release by release.
//!
//! Published when what follows from it changes by more than a little, never as a heartbeat. What all nodes know together is
//! the sum of what they say (`nutrients::learn`), so it needs no clock and is the same everywhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, Digest, NodeName};

use crate::Invalid;

/// So many releases are remembered of an app: the one that runs, and those it may go back to.
const MAX_NEEDS: usize = 4;
/// The most buckets of one histogram: with its numbers a release takes about 1 KiB.
const MAX_BUCKETS: usize = 24;
/// The most buckets there are.
const LAST_BUCKET: u16 = 400;
/// No weight and no count is higher.
const MAX_COUNT: u64 = 1_000_000_000_000;

/// What one node has learned of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Learned {
    /// Who has seen it.
    #[serde(rename = "nodeID")]
    pub node_id: NodeName,
    /// Of which app.
    #[serde(rename = "appName")]
    pub app_name: AppName,
    /// Of each release, the one seen last first.
    pub needs: Vec<Need>,
}

/// What one node has seen of replicas of one release. A histogram is the number of each bucket that isn't empty, and its weight;
/// buckets 0 to 39 are the values 1 to 40, each further one ends a twentieth higher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Need {
    /// The spore.
    pub digest: Digest,
    /// Thousandths of a CPU, by the milliseconds in which they were used.
    #[serde(default)]
    pub cpu_milli: Vec<(u16, u64)>,
    /// The peaks of memory in MiB, a thousand a window.
    #[serde(default)]
    pub memory_mb: Vec<(u16, u64)>,
    /// Milliseconds from a start until it was ready, a thousand a start.
    #[serde(default)]
    pub ready_ms: Vec<(u16, u64)>,
    /// How often something was measured.
    #[serde(default)]
    pub samples: u64,
    /// For how many seconds, of all replicas there together.
    #[serde(default)]
    pub observed_s: u64,
    /// How much of the evidence that is needed this is, in thousandths.
    #[serde(default)]
    pub enough_permille: u64,
    /// How often the kernel ended one there for lack of memory under its own limit.
    #[serde(default)]
    pub oom_kills: u64,
}

impl Learned {
    /// The most releases in one record.
    pub const MAX_NEEDS: usize = MAX_NEEDS;

    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.needs.len() > MAX_NEEDS {
            return Err(Invalid::new("needs", format!("more than {MAX_NEEDS}")));
        }
        for (at, need) in self.needs.iter().enumerate() {
            if self.needs[..at].iter().any(|before| before.digest == need.digest) {
                return Err(Invalid::new("needs", format!("{} comes twice", need.digest.short())));
            }
            need.validate()?;
        }
        Ok(())
    }
}

impl Need {
    /// The most buckets of one histogram.
    pub const MAX_BUCKETS: usize = MAX_BUCKETS;

    fn validate(&self) -> Result<(), Invalid> {
        let histograms =
            [("cpu_milli", &self.cpu_milli), ("memory_mb", &self.memory_mb), ("ready_ms", &self.ready_ms)];
        for (field, buckets) in histograms {
            if buckets.len() > MAX_BUCKETS {
                return Err(Invalid::new(field, format!("more than {MAX_BUCKETS} buckets")));
            }
            if !buckets.is_sorted_by(|one, next| one.0 < next.0) {
                return Err(Invalid::new(field, "its buckets don't rise"));
            }
            if buckets.iter().any(|(at, weight)| *at >= LAST_BUCKET || *weight > MAX_COUNT) {
                return Err(Invalid::new(
                    field,
                    format!("a bucket from {LAST_BUCKET} on, or a weight over {MAX_COUNT}"),
                ));
            }
        }
        let counts = [
            ("samples", self.samples),
            ("observed_s", self.observed_s),
            ("enough_permille", self.enough_permille),
            ("oom_kills", self.oom_kills),
        ];
        match counts.into_iter().find(|(_, count)| *count > MAX_COUNT) {
            Some((field, count)) => Err(Invalid::new(field, format!("{count} is more than {MAX_COUNT}"))),
            None => Ok(()),
        }
    }
}
