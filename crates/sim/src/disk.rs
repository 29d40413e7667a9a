//! Disk: what a crash leaves of what was written.

use std::collections::BTreeMap;

use fabric::Write;
use rand::RngExt as _;
use rand::rngs::StdRng;

#[derive(Default)]
pub(crate) struct Disk {
    synced: BTreeMap<Vec<u8>, Vec<u8>>,
    /// One step's writes each: a journal applies them as a whole or not at all.
    pending: Vec<Vec<Write>>,
}

impl Disk {
    pub(crate) fn write(&mut self, step: Vec<Write>) {
        self.pending.push(step);
    }

    pub(crate) fn sync(&mut self) {
        for write in self.pending.drain(..).flatten() {
            apply(&mut self.synced, write);
        }
    }

    /// The process dies: of what wasn't synced, some first steps are there, or nothing.
    pub(crate) fn crash(&mut self, rng: &mut StdRng) {
        let kept = rng.random_range(0..=self.pending.len());
        self.pending.truncate(kept);
        self.sync();
    }

    pub(crate) fn content(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.synced.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

fn apply(content: &mut BTreeMap<Vec<u8>, Vec<u8>>, write: Write) {
    match write {
        Write::Put { key, value } => drop(content.insert(key, value)),
        Write::Delete { key } => drop(content.remove(&key)),
    }
}
