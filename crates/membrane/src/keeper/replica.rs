//! One workload under the keeper.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Instant;

use types::Timestamp;

use super::budget::Held;
use super::pace::Pace;
use super::relayed::Relayed;
use crate::exit::{Exit, OutOfMemory};
use crate::log::{LogStream, LogWriter};
use crate::tree::{Member, Tree};
use crate::wire::Process;

/// The number of a replica in this keeper; never given twice.
pub(super) type Key = u32;

/// What a child of the keeper's is of its replica.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    /// The main process.
    Main,
    /// Process 1 of its room.
    Host,
    /// The relay of its network.
    Relay,
}

/// The two streams, in the order of [`Replica::pipes`].
pub(super) const STREAMS: [LogStream; 2] = [LogStream::Stdout, LogStream::Stderr];

/// One workload, from its start until its exit is forgotten.
#[derive(Debug)]
pub(super) struct Replica {
    pub id: String,
    /// The main process; also the session and the process group it was started in.
    pub pid: i32,
    pub started_at: Timestamp,
    pub note: String,
    pub tree: Tree,
    /// The relay of its room's network, until it is reaped.
    pub relay: Option<Relayed>,
    /// What it may use, until it ended.
    pub held: Option<Held>,
    /// The mounts of its room, until it ended: whoever lets go of them last takes them apart, and its processes would be
    /// waited for meanwhile.
    pub mounts: Option<OwnedFd>,
    /// Standard output and error, until they end.
    pub pipes: [Option<OwnedFd>; 2],
    /// Its log, until it ended.
    pub log: Option<LogWriter>,
    /// How fast that may grow.
    pub pace: Pace,
    pub order: Order,
    /// How the main process ended, once it was reaped.
    pub exit: Option<Exit>,
    /// Whether that was for lack of memory, once it ended.
    pub oom: Option<OutOfMemory>,
    /// Whether it was ended because its relay had.
    pub cut: bool,
    /// Its tree is gone, its output is in the log, its exit was reported.
    pub ended: bool,
}

/// What the keeper was told to do with a workload.
#[derive(Debug)]
pub(super) enum Order {
    /// Let it run.
    Run,
    /// It got SIGTERM and has until then.
    Term {
        until: Instant,
        /// What is left of its tree after the main process ended, and was told as well. Their descriptors are watched:
        /// in a room, nobody tells us of their end.
        told: BTreeMap<Member, OwnedFd>,
    },
    /// Kill the tree.
    Kill {
        /// Until when a process that can't be told from a stranger holds up the report: counted from
        /// the last time somebody was killed.
        unclear_until: Instant,
        /// When to look again, should no child's end make us.
        again: Instant,
        /// When to report the exit though something doesn't die.
        give_up: Instant,
    },
}

impl Replica {
    /// The main process, unless it was reaped: then the number may be anybody's.
    pub fn main(&self) -> Option<i32> {
        self.exit.is_none().then_some(self.pid)
    }

    /// Whether it runs, and is to.
    pub fn runs(&self) -> bool {
        self.exit.is_none() && matches!(self.order, Order::Run)
    }

    /// As clients see it.
    pub fn report(&self) -> Process {
        Process {
            id: self.id.clone(),
            pid: self.pid.cast_unsigned(),
            started_at: self.started_at,
            note: self.note.clone(),
            exit: self.exit.filter(|_| self.ended),
            oom: self.oom,
            cut: self.cut,
            relay: self.relay.as_ref().map(|relay| relay.pid.cast_unsigned()),
            group: self.held.as_ref().and_then(|held| held.group.at()),
        }
    }

    /// When it must be looked at again without anything happening.
    pub fn deadline(&self) -> Option<Instant> {
        let due = match &self.order {
            Order::Run => None,
            Order::Term { until, .. } => Some(*until),
            Order::Kill { again, give_up, .. } if self.exit.is_some() => Some(*again.min(give_up)),
            Order::Kill { again, .. } => Some(*again),
        };
        // Once the room has ended there is nothing else to be done before.
        self.lingers_until().or(due)
    }
}
