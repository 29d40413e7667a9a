//! Samples: what the replicas of a node use, read once and handed to all who want to know.

use std::collections::BTreeMap;
use std::time::Duration;

use genome::Revision;
use membrane::{Limits, Usage};
use types::{AppName, Digest, Nutrients, Timestamp, Workload};

use crate::core::LaunchId;

/// What the replicas of one node used and use, at one moment. Those whose keeper limits nothing are missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Samples {
    /// When, for people; none before the first.
    pub at: Option<Timestamp>,
    /// When, since the agent started; never goes back.
    pub mono: Duration,
    /// In the order of their names.
    pub replicas: Vec<Sample>,
    /// How each app stands here, as far as it has a baseline.
    pub apps: BTreeMap<AppName, Standing>,
}

/// How an app stands on one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What its replicas here are planned with, in thousandths of a CPU.
    pub baseline_milli: u64,
    /// What they used since the reading before, the same.
    pub used_milli: u64,
    /// What it has left of what it didn't use, in microseconds of a CPU.
    pub credits: u64,
    /// The most that it may have.
    pub cap: u64,
    /// What it gets while the CPUs are wanted by more than there are, in thousandths of one.
    pub weight_milli: u64,
    /// Whether it pays for more than its baseline.
    pub bursts: bool,
}

/// What one replica used and uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Which launch of which replica: what is counted begins anew with each.
    pub launch: LaunchId,
    /// The app it is a replica of.
    pub app: AppName,
    /// The spore it runs.
    pub digest: Digest,
    /// What exactly it runs.
    pub revision: Revision,
    /// What kind of process it is.
    pub workload: Workload,
    /// What it is planned with by now; nothing when an older agent launched it.
    pub nutrients: Nutrients,
    /// Its process.
    pub pid: u32,
    /// Whether it serves.
    pub ready: bool,
    /// Since when, on the clock of [`Samples::mono`].
    pub ready_at: Option<Duration>,
    /// What it is held to.
    pub limits: Limits,
    /// What it used so far and uses now.
    pub usage: Usage,
    /// What it used of a CPU since the reading before, in thousandths; none in its first.
    pub cpu_milli: Option<u64>,
    /// Bytes a second that it read from disks and wrote to them since then.
    pub io_rate: Option<u64>,
}

impl Samples {
    /// The reading of this launch.
    #[must_use]
    pub fn of(&self, launch: &LaunchId) -> Option<&Sample> {
        let at = self.replicas.binary_search_by(|sample| sample.launch.cmp(launch)).ok()?;
        Some(&self.replicas[at])
    }

    /// Works out what was used since the reading before.
    pub fn compare(&mut self, before: &Self) {
        let micros = u64::try_from(self.mono.saturating_sub(before.mono).as_micros()).unwrap_or(u64::MAX);
        if before.at.is_none() || micros == 0 {
            return;
        }
        // what is counted in a launch never falls
        let rate = |now: Option<u64>, then: Option<u64>, unit: u64| {
            let more = u128::from(now?.saturating_sub(then?)) * u128::from(unit) / u128::from(micros);
            u64::try_from(more).ok()
        };
        for sample in &mut self.replicas {
            let Some(then) = before.of(&sample.launch) else { continue };
            sample.cpu_milli = rate(sample.usage.cpu_usec, then.usage.cpu_usec, 1000);
            sample.io_rate = rate(sample.usage.io_bytes, then.usage.io_bytes, 1_000_000);
        }
    }
}
