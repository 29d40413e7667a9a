//! One replica: where it is in its life, and what of that others see.

use std::time::Duration;

use genome::{Endpoint, Exit, ReplicaState, Revision};
use types::{NodeName, Timestamp};

use super::message::{Launch, Now};

/// The longest message of a record; the rest is in the logs.
const MAX_MESSAGE: usize = 1000;

#[derive(Debug, Clone)]
pub(super) struct Replica {
    /// What was, is or is about to be launched.
    pub launch: Launch,
    /// Later ones are younger.
    pub serial: u64,
    /// The plan it was last wanted by.
    pub generation: u64,
    pub phase: Phase,
    /// Its last launch got as far as a process: another one is a restart.
    pub began: bool,
    pub pid: Option<u32>,
    pub exit: Option<Exit>,
    pub message: String,
    /// Failures in a row.
    pub failures: u32,
    /// It has once been ready for long enough: a later failure is its own, not its release's.
    pub proven: bool,
    pub ready_at: Option<Duration>,
    /// Others wait for it to have been ready for so long.
    pub watched: Option<Duration>,
    /// It has been, and its record is to say so.
    pub warm: bool,
    /// The number of its last drain, so that an answer to an earlier one isn't taken for this one's.
    pub drains: u32,
    /// A launch that is under way at this time has its record say where it is.
    pub announce_at: Duration,
    pub renewal: Renewal,
}

/// Where a replica is on its way to newer files, beside its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Nowhere.
    Idle,
    /// The shell sees to it.
    Asked,
    /// What it needs isn't there; looked for again then.
    Waits { until: Duration },
    /// It can't become this release, and is replaced.
    Impossible(Revision),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// The shell pulls, verifies, extracts.
    Preparing,
    /// Extracted; waits for a port or a predecessor to be out of the way.
    Prepared,
    /// The keeper was asked for a process.
    Spawning,
    /// The process runs and is not ready yet; a worker is at the given time.
    Probing { settled: Option<Duration> },
    /// It serves; the next check is due then, or none is, or one is under way.
    Ready { next_probe: Option<Duration>, misses: u32 },
    /// It serves what it has.
    Draining(Drain),
    /// The keeper was told to end it.
    Terminating { then: Then, insist_at: Duration },
    /// Not wanted any more while it was being prepared or spawned.
    Abandoned,
    /// Failed; is launched again then.
    Backoff { until: Duration },
    /// Its spore isn't here; looked for again then, or when it arrives.
    Missing { until: Duration },
    /// Can't run here.
    Refused,
    /// A job that is done.
    Completed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drain {
    /// It stays for so long whatever happens, to step in again should its successor die.
    pub not_before: Duration,
    /// It goes then even if requests are open.
    pub deadline: Duration,
    /// The edge has let go of it.
    pub drained: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// It is gone.
    Gone,
    /// It has failed, and is launched again.
    Failed { blame: Blame, reason: String },
}

/// How much a failure speaks against the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// Not at all: the machine could not do it.
    Machine,
    /// One early death may be chance (a port taken in between); two are not.
    Death,
    /// Its health check had all the time it asked for.
    Slow,
}

impl Replica {
    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    /// Whether it holds, or is about to hold, what a process holds.
    pub(super) const fn is_occupied(&self) -> bool {
        !matches!(
            self.phase,
            Phase::Backoff { .. } | Phase::Missing { .. } | Phase::Refused | Phase::Completed
        )
    }

    /// Whether it has or may have a process.
    pub(super) const fn is_alive(&self) -> bool {
        self.is_occupied() && !matches!(self.phase, Phase::Preparing | Phase::Prepared)
    }

    /// Whether it is on its way out and can't turn round.
    pub(super) const fn is_going(&self) -> bool {
        matches!(self.phase, Phase::Abandoned | Phase::Terminating { then: Then::Gone, .. })
    }

    /// How near it is to serving, for choosing the one that stands for its slot.
    pub(super) const fn rank(&self) -> u8 {
        match self.phase {
            Phase::Ready { .. } => 10,
            Phase::Draining(_) => 9,
            Phase::Completed => 8,
            Phase::Probing { .. } => 7,
            Phase::Spawning => 6,
            Phase::Prepared => 5,
            Phase::Preparing => 4,
            Phase::Terminating { .. } => 3,
            Phase::Backoff { .. } | Phase::Missing { .. } => 2,
            Phase::Refused => 1,
            Phase::Abandoned => 0,
        }
    }

    /// When something is to be done about it without anything else happening.
    pub(super) fn deadline(&self, known: Option<ReplicaState>) -> Option<Duration> {
        let announce = (known == Some(ReplicaState::Verifying)).then_some(self.announce_at);
        match &self.phase {
            Phase::Prepared | Phase::Spawning => announce,
            Phase::Probing { settled } => announce.into_iter().chain(*settled).min(),
            Phase::Ready { next_probe, .. } => {
                let renewal = match self.renewal {
                    Renewal::Waits { until } => Some(until),
                    _ => None,
                };
                next_probe.iter().copied().chain(self.warm_at()).chain(renewal).min()
            }
            Phase::Draining(drain) => Some(drain.ends_at()),
            Phase::Terminating { insist_at, .. } => Some(*insist_at),
            Phase::Backoff { until } | Phase::Missing { until } => Some(*until),
            Phase::Preparing | Phase::Abandoned | Phase::Refused | Phase::Completed => None,
        }
    }

    /// When it will have been ready for as long as others wait for.
    pub(super) fn warm_at(&self) -> Option<Duration> {
        let waits = !self.warm && matches!(self.phase, Phase::Ready { .. });
        self.ready_at.filter(|_| waits).zip(self.watched).map(|(since, warmup)| since + warmup)
    }

    /// What others should see of it, where they see `known`; nothing when that will do.
    pub(super) fn visible(&self, now: Now, known: Option<ReplicaState>) -> Option<ReplicaState> {
        match &self.phase {
            Phase::Preparing if self.launch.id.attempt == 1 => Some(ReplicaState::Verifying),
            Phase::Preparing | Phase::Prepared | Phase::Spawning | Phase::Probing { .. } => {
                let soon_ready = known == Some(ReplicaState::Verifying) && now.mono < self.announce_at;
                (!soon_ready).then_some(ReplicaState::Launching)
            }
            Phase::Ready { .. } => Some(ReplicaState::Ready),
            Phase::Draining(_) => Some(ReplicaState::Draining),
            Phase::Abandoned | Phase::Terminating { then: Then::Gone, .. } => {
                known.is_some().then_some(ReplicaState::Draining)
            }
            Phase::Terminating { then: Then::Failed { .. }, .. } | Phase::Backoff { .. } => {
                Some(ReplicaState::Backoff)
            }
            Phase::Missing { .. } => Some(ReplicaState::Pulling),
            Phase::Refused => Some(ReplicaState::Refused),
            Phase::Completed => Some(ReplicaState::Completed),
        }
    }

    /// Its record in `state`. Process and address are told of what serves only: one record less a launch.
    pub(super) fn endpoint(&self, node: &NodeName, state: ReplicaState, since: Timestamp) -> Endpoint {
        let launch = &self.launch;
        let serving = matches!(state, ReplicaState::Ready | ReplicaState::Draining);
        let ended = matches!(state, ReplicaState::Backoff | ReplicaState::Completed);
        Endpoint {
            app_name: launch.app.clone(),
            url: if serving { launch.url() } else { String::new() },
            node_id: node.clone(),
            replica: launch.id.replica.clone(),
            slot: launch.slot,
            digest: launch.digest,
            version: launch.version.clone(),
            revision: launch.revision.clone(),
            state,
            warm: self.warm && state == ReplicaState::Ready,
            provides: launch.provides.clone(),
            restarts: launch.restarts,
            pid: self.pid.filter(|_| serving),
            exit: self.exit.filter(|_| ended),
            message: cut(&self.message),
            since,
        }
    }
}

impl Drain {
    /// When it is over, as things stand.
    pub(super) fn ends_at(&self) -> Duration {
        if self.drained { self.not_before } else { self.not_before.max(self.deadline) }
    }
}

impl Launch {
    /// Where it listens, as its node reaches it; empty without a port. A worker has one to be asked for its metric.
    #[must_use]
    pub fn url(&self) -> String {
        if self.port == 0 {
            return String::new();
        }
        let raw = !self.provides.is_empty() && self.provides.iter().all(|what| what == "tcp");
        format!("{}://127.0.0.1:{}", if raw { "tcp" } else { "http" }, self.port)
    }

    /// Its SIGTERM grace, and how long its open requests may go on.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }
}

/// `text`, short enough for a record.
pub(super) fn cut(text: &str) -> String {
    text.char_indices()
        .nth(MAX_MESSAGE)
        .map_or_else(|| text.to_owned(), |(end, _)| format!("{}…", &text[..end]))
}
