//! Samples: what the replicas of a node use, read once and handed to all who want to know.

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
    /// What it is planned with; nothing when an older agent launched it.
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
}
