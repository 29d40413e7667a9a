//! Timers: what is due when. Time is what the driver says it is, counted from any origin, never going back.

use std::collections::BTreeMap;
use std::time::Duration;

use super::peer::{Peer, PeerId};

/// Later than this, and we didn't run: the machine was busy, or the process stopped.
const LATE: Duration = Duration::from_millis(100);

/// What is to be done.
#[derive(Debug)]
pub(super) enum Due {
    Swim(foca::Timer<Peer>),
    /// Promise what is fresh, ask for what was promised.
    Tree,
    /// Compare lists of members with somebody.
    Compare,
    /// Call on those that are gone, or not yet met.
    Knock,
    /// Reconcile records with somebody.
    Reconcile,
    /// A session of reconciliation got no answer.
    Stalled(u32),
    /// A death counts for placement from here.
    Settle(PeerId, u64),
    /// Sweep what was kept for a while.
    Sweep,
}

#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeMap<(Duration, u64), Due>,
    count: u64,
    /// What the driver was told last.
    told: Option<Duration>,
    /// When we ran last.
    ran: Duration,
    /// Whether our own lag is held against others.
    pub(super) unguarded: bool,
}

impl Timers {
    pub(super) fn add(&mut self, at: Duration, due: Due) {
        self.count += 1;
        self.queue.insert((at, self.count), due);
    }

    pub(super) fn pop(&mut self, now: Duration) -> Option<Due> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// When the driver must come back, if it doesn't know yet.
    pub(super) fn news(&mut self) -> Option<Duration> {
        let next = self.queue.first_key_value().map(|((at, _), _)| *at);
        if next == self.told {
            return None;
        }
        self.told = next;
        next
    }

    /// The driver came back for what it was told.
    pub(super) fn rung(&mut self) {
        self.told = None;
    }

    /// Guards others against our own lag: if timers fire late, answers to our probes lie unread and
    /// suspicions would run out unrefuted. So time in which we didn't run doesn't count for membership: its
    /// timers move by as much as we were late (compare Lifeguard, Dadgar et al. 2018). A lag is forgiven once: of
    /// those who meet it after a stop, a hundred messages may come before the timer. Returns the lag.
    pub(super) fn forgive(&mut self, now: Duration) -> Option<Duration> {
        let ran = std::mem::replace(&mut self.ran, now);
        let lag = now.checked_sub(self.queue.first_key_value()?.0.0.max(ran))?;
        if lag < LATE || self.unguarded {
            return None;
        }
        let (swim, rest): (BTreeMap<_, _>, _) =
            std::mem::take(&mut self.queue).into_iter().partition(|(_, due)| matches!(due, Due::Swim(_)));
        self.queue = rest;
        self.queue.extend(swim.into_iter().map(|((at, count), due)| ((at + lag, count), due)));
        Some(lag)
    }
}
