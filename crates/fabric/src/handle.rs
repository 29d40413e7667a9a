//! Fabric: the handle that the rest of the process shares. Any thread, no runtime, no thread of its own.
//!
//! Signatures are checked before the lock is taken, the disk is written after it is released.

mod own;
mod peers;
mod rules;
mod specified;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use types::{Namespace, Timestamp};

use crate::guard::Watched;
use crate::journal::Log;
use crate::watch::Watch;
use crate::{
    Authority, Changes, Core, Guard, Input, Journal, Key, MeshId, Output, PlanSubscription, Receipt, Record,
    Refused, View,
};

/// What a fabric is made of.
pub struct Config {
    /// The mesh; records of another are refused.
    pub mesh: MeshId,
    /// Who may write.
    pub authority: Authority,
    /// Where records survive; without one they don't.
    pub journal: Option<Box<dyn Journal>>,
}

/// The store, shared: clones are the same store.
#[derive(Clone)]
pub struct Fabric {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Held while a node's record is numbered, signed and taken, so that numbers are used in order.
    numbering: Mutex<()>,
    log: Log,
    watch: Watch,
    mesh: MeshId,
    herald: OnceLock<Box<Herald>>,
    guard: OnceLock<Arc<dyn Guard>>,
}

/// Told of each record that was written here, once it is in the store.
pub type Herald = dyn Fn(Record) + Send + Sync;

struct State {
    core: Core,
    /// The snapshot of the default namespace, until something changes.
    view: Option<Arc<View>>,
}

/// A record that is in the store and visible, but perhaps not on disk yet.
#[must_use = "the record may not be on disk yet"]
pub struct Pending {
    fabric: Fabric,
    receipt: Receipt,
    ticket: u64,
}

/// What became of a batch of a peer's records.
#[derive(Debug, Default)]
pub struct Merged {
    /// What was not here before: to be passed on.
    pub new: Vec<Receipt>,
    /// So many were here already.
    pub known: usize,
    /// What was refused, stale records included.
    pub refused: Vec<Refused>,
}

impl Fabric {
    /// A store over `stored`: the pairs that the journal holds. What does not hold of it (a key lost its
    /// authority, a bit flipped) is dropped, and returned with the reason. Writes the journal once.
    pub fn new(
        config: Config,
        stored: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Refused>), Refused> {
        let Config { mesh, authority, journal } = config;
        let mut core = Core::new(mesh, authority, now);
        let (outputs, dropped) = core.load(stored, now);
        let shared = Shared {
            log: Log::new(journal),
            watch: Watch::default(),
            numbering: Mutex::default(),
            state: Mutex::new(State { core, view: None }),
            mesh,
            herald: OnceLock::new(),
            guard: OnceLock::new(),
        };
        let fabric = Self { shared: Arc::new(shared) };
        let ticket = fabric.shared.log.append(writes(outputs));
        fabric.shared.log.sync(ticket)?;
        let version = fabric.view().version;
        fabric.shared.watch.raise(version);
        Ok((fabric, dropped))
    }

    /// The mesh whose records it takes.
    #[must_use]
    pub fn mesh(&self) -> MeshId {
        self.shared.mesh
    }

    /// Takes a record that was written here, and returns once it is on disk (synced). A generation that is
    /// already taken is refused. The same record again is fine. Blocks for an fsync: not for async code.
    pub fn submit(&self, record: Record, now: Timestamp) -> Result<Receipt, Refused> {
        self.stage(record, now)?.durable()
    }

    /// [`Fabric::submit`] without the wait for the disk: until [`Pending::durable`] returned, nobody may be
    /// told that it is safe. Those who wait at the same time share one sync.
    pub fn stage(&self, record: Record, now: Timestamp) -> Result<Pending, Refused> {
        let (receipt, ticket) = self.write(record, now)?;
        Ok(Pending { fabric: self.clone(), receipt, ticket })
    }

    /// From now on `herald` is told of each new record that is written here (never of what peers hold), in no
    /// particular order. The first one stays.
    pub fn announce_to(&self, herald: Box<Herald>) {
        let _ = self.shared.herald.set(herald);
    }

    /// From now on `guard` stands before the store. The first one stays.
    pub fn guard_with(&self, guard: Arc<dyn Guard>) {
        let _ = self.shared.guard.set(guard);
    }

    /// Has all subscribers look again: something beside the store that they go by has changed.
    pub fn touch(&self, now: Timestamp) {
        self.step(Input::Touch, now);
    }

    /// Takes what was written here, and tells the herald.
    fn write(&self, record: Record, now: Timestamp) -> Result<(Receipt, u64), Refused> {
        let mut watched = self.watch_over(&record)?;
        let told = self.shared.herald.get().map(|herald| (herald, record.clone()));
        let (outputs, ticket) = self.step(Input::Submit(record.verify(&self.shared.mesh)?), now);
        watched.saw(&outputs);
        let receipt = outcome(outputs)?;
        if let Some((herald, record)) = told.filter(|_| receipt.new) {
            herald(record);
        }
        Ok((receipt, ticket))
    }

    /// Takes what a peer holds, in any order and as often as it comes: stores that have merged the same
    /// records hold the same, once nothing in them changes any more (what says who may write goes first; still, a
    /// record may rule out what had driven out another). Not waited for the disk: see [`Fabric::flush`].
    pub fn merge(&self, records: impl IntoIterator<Item = Record>, now: Timestamp) -> Merged {
        let mut merged = Merged::default();
        let mut records: Vec<Record> = records.into_iter().collect();
        records.sort_by_key(|record| record.key().kind.precedence());
        for record in records {
            match self.take_in(record, now) {
                Ok(receipt) if receipt.new => merged.new.push(receipt),
                Ok(_) => merged.known += 1,
                Err(reason) => merged.refused.push(reason),
            }
        }
        self.shared.log.relieve();
        merged
    }

    /// Takes one record of a peer, verified outside the lock.
    fn take_in(&self, record: Record, now: Timestamp) -> Result<Receipt, Refused> {
        let mut watched = self.watch_over(&record)?;
        let (outputs, _) = self.step(Input::Merge(record.verify(&self.shared.mesh)?), now);
        watched.saw(&outputs);
        outcome(outputs)
    }

    fn watch_over(&self, record: &Record) -> Result<Watched<'_>, Refused> {
        let guard = self.shared.guard.get().map(AsRef::as_ref);
        Watched::new(guard, record, || self.record(record.key()))
    }

    /// Lets time pass: what has ended leaves. Worth a call a minute.
    pub fn tick(&self, now: Timestamp) {
        self.step(Input::Tick, now);
    }

    /// Returns once everything that was taken so far is on disk: before the process ends, and now and then.
    pub fn flush(&self) -> Result<(), Refused> {
        let ticket = self.shared.log.append([]);
        self.shared.log.sync(ticket)
    }

    /// Whether everything that was taken so far is on disk. Always so where nothing is to survive.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.shared.log.is_synced()
    }

    /// [`Fabric::flush`], and lets go of the journal, for another process to open it. Readers may go on;
    /// what is written from now on is refused as not durable where it is waited for.
    pub fn close(&self) -> Result<(), Refused> {
        let flushed = self.flush();
        self.shared.log.close();
        flushed
    }

    /// What holds now in the default namespace: a snapshot, shared by all who ask before the next change.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        let mut state = self.lock();
        let State { core, view } = &mut *state;
        Arc::clone(view.get_or_insert_with(|| Arc::new(core.view(&Namespace::default()))))
    }

    /// What holds now in `namespace`.
    #[must_use]
    pub fn view_of(&self, namespace: &Namespace) -> View {
        self.lock().core.view(namespace)
    }

    /// The record that holds under `key`, a tombstone included.
    #[must_use]
    pub fn record(&self, key: &Key) -> Option<Record> {
        self.lock().core.get(key).cloned()
    }

    /// Every record, conflicting ones and tombstones included: what a peer that has nothing needs.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.lock().core.records().cloned().collect()
    }

    /// Operators' records that lost to another of their generation with another content, each with the
    /// winner, until a higher generation settles it.
    #[must_use]
    pub fn conflicts(&self) -> Vec<(Record, Record)> {
        let state = self.lock();
        state.core.conflicts().map(|(loser, winner)| (loser.clone(), winner.clone())).collect()
    }

    /// The generation that the next operator's record of `key` must have.
    #[must_use]
    pub fn next_generation(&self, key: &Key) -> u64 {
        self.lock().core.next_generation(key)
    }

    /// Hears of every change, in one: what there is already counts as the first.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        Changes::new(self.clone())
    }

    /// Hears the latest plan of every app, however slow it is and however late it comes.
    #[must_use]
    pub fn subscribe_plans(&self) -> PlanSubscription {
        PlanSubscription::new(self.subscribe())
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.shared.watch
    }

    /// One step of the core: its writes are queued in order, its readers woken after the lock is released.
    fn step(&self, input: Input, now: Timestamp) -> (Vec<Output>, u64) {
        let mut state = self.lock();
        let mut outputs = state.core.handle(input, now);
        let changed = outputs.iter().find_map(|output| match output {
            Output::Changed(version) => Some(*version),
            _ => None,
        });
        if changed.is_some() {
            state.view = None;
        }
        let queued = outputs.extract_if(.., |output| matches!(output, Output::Write(_)));
        let ticket = self.shared.log.append(writes(queued));
        drop(state);
        if let Some(version) = changed {
            self.shared.watch.raise(version);
        }
        (outputs, ticket)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// What became of the record.
    #[must_use]
    pub const fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// Returns once the record is on disk (synced). Blocks.
    pub fn durable(self) -> Result<Receipt, Refused> {
        self.fabric.shared.log.sync(self.ticket)?;
        Ok(self.receipt)
    }
}

impl std::fmt::Debug for Fabric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fabric").field("mesh", &self.shared.mesh).finish_non_exhaustive()
    }
}

fn writes(outputs: impl IntoIterator<Item = Output>) -> impl Iterator<Item = crate::Write> {
    outputs.into_iter().filter_map(|output| match output {
        Output::Write(write) => Some(write),
        _ => None,
    })
}

fn outcome(outputs: Vec<Output>) -> Result<Receipt, Refused> {
    let answer = outputs.into_iter().find_map(|output| match output {
        Output::Accepted(receipt) => Some(Ok(receipt)),
        Output::Refused(reason) => Some(Err(reason)),
        Output::Write(_) | Output::Absence(_) | Output::Changed(_) => None,
    });
    answer.expect("the core answers every record")
}

#[cfg(test)]
mod tests;
