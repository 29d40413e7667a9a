//! Guard: who hears of each record before the store looks into it, and may keep it out.
//!
//! A record that makes the code fall over that handles it would do so again at every start. Somebody has to
//! remember which one it was, from before it is first looked into.

use types::Digest;

use crate::{Output, Record, Refused};

/// Stands between the store and what comes in. Called from any thread, never under the store's lock.
pub trait Guard: Send + Sync {
    /// Whether this record must not be looked into.
    fn bars(&self, id: &Digest) -> bool;

    /// A record is about to be verified and taken. Of an operator's: what holds under its key before it.
    fn takes(&self, record: &Record, before: Option<Record>);

    /// What became of it: readers see it from this version of the store on. Without a version nothing follows from
    /// it: it was refused, or is here already.
    fn took(&self, id: Digest, version: Option<u64>);

    /// The store panicked over it, and is not to be relied on any more.
    fn broke(&self, id: Digest);
}

/// One record under a guard's eyes, until it is dropped.
pub(crate) struct Watched<'a> {
    guard: Option<&'a dyn Guard>,
    id: Digest,
    version: Option<u64>,
}

impl<'a> Watched<'a> {
    pub(crate) fn new(
        guard: Option<&'a dyn Guard>,
        record: &Record,
        before: impl FnOnce() -> Option<Record>,
    ) -> Result<Self, Refused> {
        let id = record.id();
        if let Some(guard) = guard {
            if guard.bars(&id) {
                return Err(Refused::Quarantined { key: record.key().to_string() });
            }
            guard.takes(record, record.is_operators().then(before).flatten());
        }
        Ok(Self { guard, id, version: None })
    }

    /// Notes what the store made of it.
    pub(crate) fn saw(&mut self, outputs: &[Output]) {
        let is_new = outputs.iter().any(|output| matches!(output, Output::Accepted(receipt) if receipt.new));
        self.version = outputs.iter().find_map(|output| match output {
            Output::Changed(version) if is_new => Some(*version),
            _ => None,
        });
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        match self.guard {
            Some(guard) if std::thread::panicking() => guard.broke(self.id),
            Some(guard) => guard.took(self.id, self.version),
            None => {}
        }
    }
}
