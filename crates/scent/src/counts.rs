//! What became of what was to be told.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Requests.
    Traces,
    /// Counters.
    Metrics,
    /// Events, and what replicas wrote.
    Logs,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Traces, Self::Metrics, Self::Logs];

    /// Its name, as a label has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
        }
    }
}

/// How much of one kind was told so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Spans, records or metrics that the collector took.
    pub sent: u64,
    /// Those that it never will have: there was no room, or it refused them.
    pub dropped: u64,
    /// Requests that failed, whether they were made again or not.
    pub failures: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub sent: AtomicU64,
    pub dropped: AtomicU64,
    pub failures: AtomicU64,
}

impl Counts {
    pub(crate) fn read(&self) -> Count {
        Count {
            sent: self.sent.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            failures: self.failures.load(Relaxed),
        }
    }
}
