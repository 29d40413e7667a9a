//! The one way in which records enter and leave the store: accounts, journal and views follow from it.

use std::sync::Arc;

use crate::{Key, Kind, Output, Owner, Record, Refused, Verified, Write};

use super::slot::Slot;
use super::{Core, stored};

/// The most records that one node may hold, tombstones included.
const MAX_RECORDS: usize = 4096;
/// The most bytes of payload that one node may hold.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The most nodes of a mesh, those that are away included: what a stolen issuer could fill a store with.
const MAX_NODES: usize = 64 * 1024;

/// What one node takes up.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) records: usize,
    pub(super) tombstones: usize,
    pub(super) bytes: usize,
}

fn size(record: &Record) -> usize {
    record.payload().map_or(0, <[u8]>::len)
}

impl Core {
    /// Refuses what would make a node take up more than it may; what is in its way counts as gone.
    pub(super) fn check_usage(&self, record: &Record) -> Result<(), Refused> {
        let Owner::Node(node) = &record.key().owner else { return Ok(()) };
        let usage = self.usage.get(node).copied().unwrap_or_default();
        let held = self.slots.get(record.key()).map(|slot| size(slot.winner().record()));
        let too_many = |what| {
            let (key, owner) = (record.key().to_string(), record.key().owner.to_string());
            Err(Refused::TooMany { key, owner, what })
        };
        if record.key().kind == Kind::Member {
            // one or two of a name, on which all else of it depends
            let nodes = &self.authority().nodes;
            let full = nodes.len() >= MAX_NODES && !nodes.contains_key(node);
            return if full { too_many("65,536 nodes at most") } else { Ok(()) };
        }
        if held.is_none() && usage.records >= MAX_RECORDS {
            return too_many("4096 at most");
        }
        if usage.bytes - held.unwrap_or(0) + size(record) > MAX_BYTES {
            return too_many("8 MiB at most");
        }
        Ok(())
    }

    /// Remembers the highest order of a node's key, so that its next record is above it.
    pub(super) fn note_head(&mut self, record: &Record) {
        if let Owner::Node(node) = &record.key().owner {
            let written = (record.writer(), record.order());
            let head = self.heads.entry(node.clone()).or_insert(written);
            if head.0 != written.0 || head.1 < written.1 {
                *head = written;
            }
        }
    }

    pub(super) fn entered(&mut self, verified: &Verified, out: &mut Vec<Output>) {
        let record = verified.record();
        self.expiries.add(record);
        self.ids.insert(record.id(), record.key().clone());
        self.edition += 1;
        if let Some(usage) = self.usage_of(record) {
            usage.records += 1;
            usage.tombstones += usize::from(record.payload().is_none());
            usage.bytes += size(record);
        }
        let (key, value) = (stored::record_key(record.id()), record.encode());
        out.push(Output::Write(Write::Put { key, value }));
    }

    pub(super) fn left(&mut self, verified: &Verified, out: &mut Vec<Output>) {
        let record = verified.record();
        self.expiries.remove(record);
        self.ids.remove(&record.id());
        self.edition += 1;
        if let Some(usage) = self.usage_of(record) {
            usage.records -= 1;
            usage.tombstones -= usize::from(record.payload().is_none());
            usage.bytes -= size(record);
        }
        out.push(Output::Write(Write::Delete { key: stored::record_key(record.id()) }));
        self.undoubt(record, out);
    }

    fn usage_of(&mut self, record: &Record) -> Option<&mut Usage> {
        let Owner::Node(node) = &record.key().owner else { return None };
        if !self.usage.contains_key(node) {
            self.usage.insert(node.clone(), Usage::default());
        }
        self.usage.get_mut(node)
    }

    /// Has `drop` take records out of the slot of `key`, and the slot out when it is empty.
    pub(super) fn shrink(
        &mut self,
        key: &Key,
        out: &mut Vec<Output>,
        drop: impl FnOnce(&mut Slot) -> Vec<Arc<Verified>>,
    ) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let old = Arc::clone(slot.winner());
        let gone = drop(slot);
        if slot.is_empty() {
            self.slots.remove(key);
        }
        gone.iter().for_each(|gone| self.left(gone, out));
        self.show(key, Some(&old));
    }

    /// Has readers see what holds under `key` now, where `old` held before.
    pub(super) fn show(&mut self, key: &Key, old: Option<&Arc<Verified>>) {
        let new = self.slots.get(key).map(Slot::winner);
        if old.map(|old| old.record().id()) == new.map(|new| new.record().id()) {
            return;
        }
        let view = self.views.entry(key.namespace.clone()).or_default();
        view.replace(old.map(AsRef::as_ref), new.map(AsRef::as_ref));
        self.version += 1;
    }
}
