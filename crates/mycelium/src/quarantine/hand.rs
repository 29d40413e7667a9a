//! What is in hand: records that somebody who acts on the store may not have come to terms with yet.

use std::collections::BTreeMap;

use fabric::Record;
use types::Digest;

use super::files::{Entry, HandFile};

/// The records in hand, and how far those who act on them are.
pub(super) struct Hand {
    file: HandFile,
    held: BTreeMap<Digest, Held>,
    /// Up to which version of the store each handler has acted.
    seen: Vec<u64>,
}

struct Held {
    entry: Entry,
    /// From which version on readers see it; nothing as long as the store works on it.
    version: Option<u64>,
}

impl Hand {
    /// `carried` were in hand when the last process was killed.
    pub(super) fn new(file: HandFile, carried: Vec<Entry>) -> Self {
        let held = carried.into_iter().map(|entry| (entry.id, Held { entry, version: None })).collect();
        let mut hand = Self { file, held, seen: Vec::new() };
        hand.write();
        hand
    }

    pub(super) fn add_handler(&mut self) -> usize {
        self.seen.push(0);
        self.seen.len() - 1
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn has(&self, id: &Digest) -> bool {
        self.held.contains_key(id)
    }

    pub(super) fn take(&mut self, record: &Record, before: Option<Record>) {
        let id = record.id();
        if !self.held.contains_key(&id) {
            let before = before.map(|record| record.encode());
            let entry = Entry { id, strikes: 0, before, what: record.key().to_string() };
            self.file.append(&entry);
            self.held.insert(id, Held { entry, version: None });
        }
    }

    pub(super) fn took(&mut self, id: Digest, version: Option<u64>) {
        let Some(held) = self.held.get_mut(&id) else { return };
        match version {
            Some(_) => {
                held.version = version;
                self.settle();
            }
            // The same record may have come twice at once: the one that was taken says when it is seen.
            None if held.version.is_none() => {
                self.held.remove(&id);
                self.write();
            }
            None => {}
        }
    }

    /// What was carried over is shown by the store from the start.
    pub(super) fn loaded(&mut self, version: u64) {
        self.held.values_mut().for_each(|held| held.version = Some(version));
    }

    pub(super) fn seen(&mut self, handler: usize, version: u64) {
        self.seen[handler] = version;
        self.settle();
    }

    pub(super) fn close(&mut self) {
        self.held.clear();
        self.write();
    }

    /// Lets go of what everybody has seen.
    fn settle(&mut self) {
        let all = self.seen.iter().min().copied().unwrap_or(u64::MAX);
        let before = self.held.len();
        self.held.retain(|_, held| held.version.is_none_or(|version| version > all));
        if self.held.len() < before {
            self.write();
        }
    }

    fn write(&mut self) {
        self.file.rewrite(self.held.values().map(|held| &held.entry));
    }
}
