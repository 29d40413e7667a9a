//! Quarantine: a record that ends this process does so once, and reaches nobody else.
//!
//! ```text
//!  new record ─▶ in hand (its id is in a file) ─▶ stored ─▶ driver, agents, routes, … caught up ─▶ out of hand
//!                  │ messages that carry it wait here                                              └▶ passed on
//!                  └ panic, hang, crash ─▶ next start: in quarantine, neither loaded nor taken nor passed on
//! ```
//! Nobody can say which of several records in hand it was, so all of them go, and people release them, one at a time
//! where they want to know. A record that was in hand when the process was merely killed is innocent until that
//! has happened [`STRIKES`] times in a row.
//!
//! It survives the end of a process, not that of the machine: nothing is synced on the way of a record.

mod files;
mod hand;
mod list;
mod panics;
#[cfg(debug_assertions)]
pub(crate) mod rehearsal;
#[cfg(test)]
mod tests;
mod watchdog;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fabric::{Fabric, Guard, Record};
use tokio::sync::watch;
use types::{Digest, Timestamp};

use crate::api::Quarantined;
use crate::journal::Pair;
use files::{HandFile, MarkFile};
use hand::Hand;
use list::List;
use watchdog::Slots;
pub(crate) use watchdog::{Pulse, Watchdog};

/// So many times in a row the process may be killed with a record in hand.
pub(crate) const STRIKES: u8 = 3;

/// What is in hand and in quarantine; cheap to clone.
#[derive(Clone)]
pub(crate) struct Quarantine(Arc<Shared>);

struct Shared {
    hand: Mutex<Hand>,
    list: Mutex<List>,
    /// What the journal holds of the records in quarantine.
    kept_back: Mutex<BTreeMap<Digest, Vec<u8>>>,
    /// What held before the records that are new in quarantine.
    before: Mutex<Vec<Vec<u8>>>,
    mark: Arc<MarkFile>,
    slots: Slots,
    /// How often something has left the hand.
    settled: watch::Sender<u64>,
    broken: watch::Sender<bool>,
    /// How many are in hand.
    count: AtomicU64,
}

/// One of those that act on what the store shows.
#[derive(Clone)]
pub(crate) struct Handler {
    quarantine: Quarantine,
    index: usize,
    pulse: Pulse,
}

impl Quarantine {
    /// Opens it in `dir`, and puts into quarantine what the last process ended over; these are returned.
    pub(crate) fn open(dir: &Path, now: Timestamp) -> io::Result<(Self, Vec<Quarantined>)> {
        crate::paths::private_dir(dir)?;
        let (file, left) = HandFile::open(&dir.join("in-hand"))?;
        let (mark, why) = MarkFile::open(&dir.join("ended"))?;
        let mut list = List::open(&dir.join("list.json"))?;
        let (mut carried, mut new, mut before) = (Vec::new(), Vec::new(), Vec::new());
        for mut entry in left {
            entry.strikes = entry.strikes.saturating_add(1);
            let killed = format!("the process ended {} times in a row with it in hand", entry.strikes);
            match why.clone().or_else(|| (entry.strikes >= STRIKES).then_some(killed)) {
                Some(reason) => {
                    before.extend(entry.before);
                    new.push(Quarantined { id: entry.id, what: entry.what, reason, at: now });
                }
                None => carried.push(entry),
            }
        }
        if !new.is_empty() {
            // Without room it holds as long as this process.
            if let Err(error) = list.add(&new) {
                tracing::warn!(%error, "can't write down what is in quarantine");
            }
        }
        mark.clear();
        let count = AtomicU64::new(carried.len() as u64);
        let shared = Shared {
            hand: Mutex::new(Hand::new(file, carried)),
            list: Mutex::new(list),
            kept_back: Mutex::default(),
            before: Mutex::new(before),
            mark: Arc::new(mark),
            slots: Slots::default(),
            settled: watch::Sender::new(0),
            broken: watch::Sender::new(false),
            count,
        };
        let this = Self(Arc::new(shared));
        panics::report_to(&this);
        Ok((this, new))
    }

    /// Takes out of a journal's content what is in quarantine.
    pub(crate) fn sift(&self, stored: Vec<Pair>) -> Vec<Pair> {
        let list = lock(&self.0.list);
        let mut kept_back = lock(&self.0.kept_back);
        let mut good = Vec::with_capacity(stored.len());
        for (key, value) in stored {
            match fabric::stored_record(&key).filter(|id| list.has(id)) {
                Some(id) => drop(kept_back.insert(id, value)),
                None => good.push((key, value)),
            }
        }
        good
    }

    /// Stands before the store from now on. What was in hand before is shown by it already; what held before that
    /// which is out now holds again, as it does everywhere else.
    pub(crate) fn watch_over(&self, fabric: &Fabric, now: Timestamp) {
        let before = std::mem::take(&mut *lock(&self.0.before));
        let before = before.iter().filter_map(|bytes| Record::decode(bytes).ok());
        for record in before.filter(|record| !self.bars(&record.id())) {
            if let Err(error) = fabric.merge_one(record, now) {
                tracing::info!("what held before does not hold any more: {error}");
            }
        }
        let version = fabric.view().version;
        self.change(|hand| hand.loaded(version));
        fabric.guard_with(Arc::new(self.clone()));
    }

    /// One more who must have caught up with a record before it is out of hand. Nobody may be added once records come.
    pub(crate) fn handler(&self, name: impl Into<String>) -> Handler {
        let index = lock(&self.0.hand).add_handler();
        Handler { quarantine: self.clone(), index, pulse: self.0.slots.work(name.into()) }
    }

    /// A pulse that must never stop.
    pub(crate) fn pulse(&self, name: &str) -> Pulse {
        self.0.slots.pulse(name.to_owned())
    }

    /// Everything that is kept out, oldest first.
    pub(crate) fn list(&self) -> Vec<Quarantined> {
        lock(&self.0.list).all().to_vec()
    }

    /// Lets a record in again; whether it was there. Where the journal has it, it is taken at once; else it comes
    /// from whoever holds it. It blocks: for the disk.
    pub(crate) fn release(&self, id: &Digest, fabric: &Fabric, now: Timestamp) -> io::Result<bool> {
        let released = lock(&self.0.list).remove(id)?;
        let kept = lock(&self.0.kept_back).remove(id);
        if let Some(record) = kept.and_then(|bytes| Record::decode(&bytes).ok())
            && let Err(error) = fabric.merge_one(record, now)
        {
            tracing::info!("a released record does not hold any more: {error}");
        }
        Ok(released)
    }

    /// Which of these records are in hand: they are not to be passed on yet.
    pub(crate) fn in_hand<'a>(&self, ids: impl IntoIterator<Item = &'a Digest>) -> Vec<Digest> {
        if self.is_empty_handed() {
            return Vec::new();
        }
        let hand = lock(&self.0.hand);
        ids.into_iter().filter(|id| hand.has(id)).copied().collect()
    }

    pub(crate) fn is_empty_handed(&self) -> bool {
        self.0.count.load(Ordering::Acquire) == 0
    }

    /// Rises whenever records leave the hand.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.0.settled.subscribe()
    }

    /// Resolves once this record is not in hand.
    pub(crate) async fn settled(&self, id: &Digest) {
        let mut changes = self.changes();
        while !self.in_hand([id]).is_empty() {
            // The sender lives as long as we do.
            let _ = changes.changed().await;
        }
    }

    /// Resolves when the store can't be relied on any more.
    pub(crate) async fn broken(&self) {
        let mut broken = self.0.broken.subscribe();
        let _ = broken.wait_for(|broken| *broken).await;
    }

    /// The process ends well: nothing that is in hand had to do with it.
    pub(crate) fn close(&self) {
        self.change(Hand::close);
        self.0.mark.clear();
    }

    /// Notes why the process is about to end, if anything is in hand.
    fn accuse(&self, why: &str) {
        if !self.is_empty_handed() {
            self.0.mark.set(why);
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Hand) -> T) -> T {
        let mut hand = lock(&self.0.hand);
        let before = hand.len();
        let done = change(&mut hand);
        let now = hand.len();
        self.0.count.store(now as u64, Ordering::Release);
        drop(hand);
        if now == 0 && self.0.mark.is_set() {
            // Somebody panicked meanwhile, but it had nothing to do with what was in hand.
            self.0.mark.clear();
        }
        if now < before {
            self.0.settled.send_modify(|count| *count += 1);
        }
        done
    }
}

impl Guard for Quarantine {
    fn bars(&self, id: &Digest) -> bool {
        lock(&self.0.list).has(id)
    }

    fn takes(&self, record: &Record, before: Option<Record>) {
        self.change(|hand| hand.take(record, before));
    }

    fn took(&self, id: Digest, version: Option<u64>) {
        self.change(|hand| hand.took(id, version));
    }

    fn broke(&self, _: Digest) {
        self.0.broken.send_replace(true);
    }
}

impl Handler {
    /// Work begins on the store as it shows itself at this version or a later one, and [`Handler::done`] will be
    /// told: for a handler that is idle otherwise.
    pub(crate) fn begin_at(&self, version: u64) {
        self.quarantine.change(|hand| hand.seen(self.index, version));
        self.pulse.begin();
    }

    /// The work has ended; whatever comes until the next begins doesn't wait for it.
    pub(crate) fn done(&self) {
        self.pulse.end();
        self.quarantine.change(|hand| hand.seen(self.index, u64::MAX));
    }

    /// Runs what has to end soon.
    pub(crate) fn work<T>(&self, work: impl FnOnce() -> T) -> T {
        self.pulse.begin();
        let done = work();
        self.pulse.end();
        done
    }

    /// All that the store showed at this version has been acted on.
    pub(crate) fn caught_up(&self, version: u64) {
        self.quarantine.change(|hand| hand.seen(self.index, version));
    }
}

impl agent::Witness for Handler {
    fn begins(&self) {
        self.pulse.begin();
    }

    fn ends(&self) {
        self.pulse.end();
    }

    fn caught_up(&self, version: u64) {
        Handler::caught_up(self, version);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
