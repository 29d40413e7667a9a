//! Nodes that said that they will be away: for a restart, or for good.
//!
//! Other nodes' replicas are preferred to theirs. Where there are none, a request waits for a node that comes back, and
//! goes to one that leaves as long as it serves.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use types::PublicKey;

/// How long what a node said counts. A restart takes a second, and what is open before it up to ten.
const COUNTS: Duration = Duration::from_secs(20);

/// How a node is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// It is started anew: it takes nothing new until then.
    Pauses,
    /// It leaves: it serves on until its work is done elsewhere, for some seconds.
    Leaves,
    /// It was started anew, and membership may not know that yet.
    Back,
}

/// Who is away.
#[derive(Debug, Default)]
pub(super) struct Absent(Mutex<BTreeMap<PublicKey, (Absence, Instant)>>);

impl Absent {
    /// Notes what a node said; whether it is news.
    pub(super) fn note(&self, node: PublicKey, how: Absence) -> bool {
        let mut all = self.lock();
        all.retain(|_, (_, since)| since.elapsed() < COUNTS);
        all.insert(node, (how, Instant::now())).is_none_or(|(before, _)| before != how)
    }

    /// Notes that a node is back; whether it was away.
    pub(super) fn is_back(&self, node: &PublicKey) -> bool {
        self.lock().remove(node).is_some()
    }

    /// Notes that a node takes tunnels, which one that pauses doesn't; whether it paused.
    pub(super) fn serves(&self, node: &PublicKey) -> bool {
        let mut all = self.lock();
        let paused = all.get_mut(node).filter(|(how, _)| *how == Absence::Pauses);
        paused.map(|(how, _)| *how = Absence::Back).is_some()
    }

    /// How a node is away, and until when that counts.
    pub(super) fn of(&self, node: &PublicKey) -> Option<(Absence, Instant)> {
        let (how, since) = *self.lock().get(node)?;
        Some((how, since + COUNTS)).filter(|(_, until)| *until > Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PublicKey, (Absence, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
