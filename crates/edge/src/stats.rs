//! Counters: requests, failures, latency, retries by app. Each worker writes its own shard; readers add them up.

mod histogram;
mod prometheus;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use types::AppName;

pub use histogram::Histogram;
pub(crate) use histogram::{BUCKETS, bucket_of};

/// What one worker counted for one app. Only that worker writes, so a plain load and store is enough.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    started: AtomicU64,
    classes: [AtomicU64; 5],
    retries: AtomicU64,
    slow: AtomicU64,
    late: AtomicU64,
    bad: AtomicU64,
    held: AtomicU64,
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Default for Shard {
    fn default() -> Self {
        Self {
            started: AtomicU64::new(0),
            classes: Default::default(),
            retries: AtomicU64::new(0),
            slow: AtomicU64::new(0),
            late: AtomicU64::new(0),
            bad: AtomicU64::new(0),
            held: AtomicU64::new(0),
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            micros: AtomicU64::new(0),
        }
    }
}

fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(n), Relaxed);
}

impl Shard {
    pub(crate) fn start(&self) {
        add(&self.started, 1);
    }

    pub(crate) fn retry(&self) {
        add(&self.retries, 1);
    }

    /// A request is held.
    pub(crate) fn hold(&self) {
        add(&self.held, 1);
    }

    /// One is held no longer.
    pub(crate) fn unhold(&self) {
        add(&self.held, u64::MAX);
    }

    /// Counts a request's end: its status and how long it took, where it was to take `budget` microseconds at most.
    pub(crate) fn end(&self, status: u16, took: Duration, budget: u64) {
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        add(&self.classes[class], 1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        add(&self.buckets[bucket_of(micros)], 1);
        add(&self.micros, micros);
        if micros > budget / 2 || class == 4 {
            self.judge(micros, budget, class == 4);
        }
    }

    /// Counts a request that wasn't all one could wish.
    #[cold]
    fn judge(&self, micros: u64, budget: u64, failed: bool) {
        let slow = micros > budget;
        add(&self.slow, u64::from(slow));
        add(&self.late, u64::from(micros > budget / 2));
        add(&self.bad, u64::from(slow || failed));
    }
}

/// A snapshot of all counters of an edge.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// By app; an app that was removed keeps its counters.
    pub apps: BTreeMap<AppName, AppStats>,
    /// Requests for no known app, and refused ones.
    pub unrouted: u64,
    /// Client connections that are open.
    pub connections: u64,
    /// Client connections since the start.
    pub accepted: u64,
}

/// The counters of one app.
#[derive(Debug, Clone, Default)]
pub struct AppStats {
    /// Requests that ended, by class of status: `[1xx, 2xx, 3xx, 4xx, 5xx]`.
    pub classes: [u64; 5],
    /// Requests that are open.
    pub open: u64,
    /// Requests tried again at another endpoint, or on a fresh connection.
    pub retries: u64,
    /// Requests that took longer than the app's budget.
    pub slow: u64,
    /// Requests that took longer than half of it.
    pub late: u64,
    /// Requests that took longer than the budget, or ended with a 5xx.
    pub bad: u64,
    /// Requests that are held until a replica is ready; they are open as well.
    pub held: u64,
    /// From a request's head to the end of its response.
    pub latency: Histogram,
}

impl AppStats {
    /// Requests that ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// Requests that ended with a 5xx.
    #[must_use]
    pub const fn errors(&self) -> u64 {
        self.classes[4]
    }

    pub(crate) fn sum(shards: &[Shard]) -> Self {
        let mut all = Self::default();
        let mut started = 0_u64;
        for shard in shards {
            // Ends before starts, so that no request is seen ended and not begun.
            for (to, from) in all.classes.iter_mut().zip(&shard.classes) {
                *to += from.load(Relaxed);
            }
            for (i, from) in shard.buckets.iter().enumerate() {
                all.latency.add_bucket(i, from.load(Relaxed));
            }
            all.latency.add_micros(shard.micros.load(Relaxed));
            all.retries += shard.retries.load(Relaxed);
            all.slow += shard.slow.load(Relaxed);
            all.late += shard.late.load(Relaxed);
            all.bad += shard.bad.load(Relaxed);
            all.held += shard.held.load(Relaxed);
            started += shard.started.load(Relaxed);
        }
        all.open = started.saturating_sub(all.requests());
        all
    }
}

#[cfg(test)]
mod tests;
