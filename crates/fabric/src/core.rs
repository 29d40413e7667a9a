//! The store as one state machine: an input and the time in, outputs out; no clock, no lock, no disk.
//!
//! For each key the store keeps a *slot*: the records of the highest order seen, the winner first. For nodes
//! that is one record. For operators, two who wrote the same generation on two sides of a cut leave two
//! records: the one with the higher id holds, the other stays in sight as a conflict, until somebody writes
//! the next generation. Merging is therefore taking a maximum: it commutes, associates, and repeats in vain.
//!
//! A removal is a record too (a tombstone) and wins like any other. When it ends, 30 days later, its rank
//! stays behind as the *floor* of its name: an older plan, signed once and kept by somebody, never comes back.
//! Names of nodes have no floor: an endpoint that somebody digs up after a month names a node that contradicts
//! it, or one that is dead and gets no requests. A node that was away for longer than that goes by what a peer that
//! stayed has ([`absence`]).
//!
//! Who may write follows from records too ([`rules`]), of which some are taken in and some were given. So a change of
//! these can rule out what is here; what it had driven out before comes back by reconciliation.
//!
//! Submitting (an operator on this node) is stricter than merging (what peers hold): a generation that is
//! already taken is refused, so that conflicts arise from cuts only.

mod absence;
mod expiry;
mod output;
mod rules;
mod settle;
mod slot;
mod state;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use types::{Digest, Namespace, NodeName, PublicKey, Timestamp};

use crate::{Authority, Key, MeshId, Order, Rank, Record, Refused, Verified, View};

pub use absence::Absence;
use absence::Away;
use expiry::Expiries;
pub use output::{Input, Output, Receipt};
use rules::Rules;
use slot::{Slot, Taken};
use state::Usage;
pub use stored::stored_record;

/// The store's state and rules.
#[derive(Debug)]
pub struct Core {
    mesh: MeshId,
    rules: Rules,
    slots: BTreeMap<Key, Slot>,
    /// Where each record lies, by its id.
    ids: BTreeMap<Digest, Key>,
    /// Rises with each record that enters or leaves, those included that no reader sees.
    edition: u64,
    floors: BTreeMap<Key, Rank>,
    expiries: Expiries,
    usage: BTreeMap<NodeName, Usage>,
    /// The highest order seen of each node, over all its records, and the key it had then.
    heads: BTreeMap<NodeName, (PublicKey, Order)>,
    /// The incarnation under which this process writes for its nodes.
    incarnation: u64,
    away: Away,
    views: BTreeMap<Namespace, View>,
    version: u64,
}

impl Core {
    /// An empty store of `mesh`, whose own nodes write under an incarnation that is `now` at least.
    #[must_use]
    pub fn new(mesh: MeshId, authority: Authority, now: Timestamp) -> Self {
        Self {
            mesh,
            rules: Rules::new(authority),
            slots: BTreeMap::new(),
            ids: BTreeMap::new(),
            edition: 0,
            floors: BTreeMap::new(),
            expiries: Expiries::default(),
            usage: BTreeMap::new(),
            heads: BTreeMap::new(),
            incarnation: now.as_millis().max(1),
            away: Away::default(),
            views: BTreeMap::new(),
            version: 0,
        }
    }

    /// Takes one step. Outputs are to be carried out in order; a refusal is the only one of its step, apart
    /// from what ended by the passing of time.
    pub fn handle(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        let before = self.version;
        self.expire(now, &mut out);
        match input {
            Input::Submit(record) => {
                let outcome = self.fresh(record.record()).and_then(|()| self.take(record, now, &mut out));
                out.push(answer(outcome));
            }
            Input::Merge(record) => {
                let outcome = self.take(record, now, &mut out);
                out.push(answer(outcome));
            }
            Input::Authority(authority) => self.change_authority(authority, &mut out),
            Input::Tick => {}
            Input::Awake(me) => self.awake(&me, now, &mut out),
            Input::Forget(lacked) => self.forget(&lacked, &mut out),
            Input::Doubt(id) => self.doubt(id, &mut out),
            Input::Touch => self.version += 1,
        }
        if self.version != before {
            out.push(Output::Changed(self.version));
        }
        out
    }

    /// The mesh whose records it takes.
    #[must_use]
    pub const fn mesh(&self) -> MeshId {
        self.mesh
    }

    /// Who may write, by what the store was given and by its records.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        self.rules.effective()
    }

    /// The keys of nodes that operators revoked.
    #[must_use]
    pub const fn revoked(&self) -> &BTreeSet<PublicKey> {
        self.rules.revoked()
    }

    /// Whether the writer of a record may write it, as things stand.
    pub fn permits(&self, record: &Verified) -> Result<(), Refused> {
        self.rules.permits(record)
    }

    /// What holds in `namespace`.
    #[must_use]
    pub fn view(&self, namespace: &Namespace) -> View {
        let mut view = self.views.get(namespace).cloned().unwrap_or_default();
        view.version = self.version;
        view
    }

    /// The record that holds under `key`, a tombstone included.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Record> {
        self.slots.get(key).map(|slot| slot.winner().record())
    }

    /// The record with this id, if it is here: holding, conflicting, or a tombstone.
    #[must_use]
    pub fn by_id(&self, id: Digest) -> Option<&Record> {
        let slot = self.slots.get(self.ids.get(&id)?)?;
        slot.records().map(Verified::record).find(|record| record.id() == id)
    }

    /// The place of the record with this id in a batch for a peer.
    pub(crate) fn precedence(&self, id: Digest) -> u8 {
        self.ids.get(&id).map_or(u8::MAX, |key| key.kind.precedence())
    }

    /// The ids of all records, ascending.
    pub fn ids(&self) -> impl Iterator<Item = Digest> {
        self.ids.keys().copied()
    }

    /// Rises whenever a record enters or leaves; equal editions of one store mean equal sets of ids.
    #[must_use]
    pub const fn edition(&self) -> u64 {
        self.edition
    }

    /// Under which this process writes for its nodes: above that of every earlier start on this disk.
    #[must_use]
    pub const fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Every record, conflicting ones and tombstones included, in the order of their keys: what a peer that
    /// has nothing needs.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.slots.values().flat_map(Slot::records).map(Verified::record)
    }

    /// Operators' records that lost to another one of the same generation with another content, each with
    /// the winner, until a higher generation settles it.
    pub fn conflicts(&self) -> impl Iterator<Item = (&Record, &Record)> {
        self.slots.values().flat_map(Slot::conflicts)
    }

    /// The generation that the next operator's record of `key` must have.
    #[must_use]
    pub fn next_generation(&self, key: &Key) -> u64 {
        let held = self.slots.get(key).map_or(0, |slot| slot.winner().record().order().major);
        let floor = self.floors.get(key).map_or(0, |floor| floor.order.major);
        held.max(floor) + 1
    }

    /// The order that the next record of `node` must have: above everything seen of it under this key. What a
    /// key before it wrote is gone and counts no more.
    #[must_use]
    pub fn next_order(&self, node: &NodeName, key: &PublicKey) -> Order {
        let first = Order::sequence(self.incarnation, 1);
        let head = self.heads.get(node).filter(|(writer, _)| writer == key);
        head.map_or(first, |(_, head)| head.next().max(first))
    }

    /// How many records of `node` are tombstones, and how many there are in all.
    #[must_use]
    pub fn usage(&self, node: &NodeName) -> (usize, usize) {
        self.usage.get(node).map_or((0, 0), |usage| (usage.tombstones, usage.records))
    }

    /// Whether an operator's submission goes on from what is here.
    fn fresh(&self, record: &Record) -> Result<(), Refused> {
        let next = self.next_generation(record.key());
        let held = self.slots.get(record.key()).is_some_and(|slot| slot.holds(record.id()));
        if held || !record.is_operators() || record.order().major >= next {
            return Ok(());
        }
        Err(stale(record, next - 1))
    }

    /// Takes a record into its slot, where it belongs there.
    fn take(
        &mut self,
        verified: Verified,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) -> Result<Receipt, Refused> {
        let record = verified.record();
        let key = record.key().clone();
        self.rules.permits(&verified)?;
        expiry::check_horizon(record, now)?;
        if let Some(floor) = self.floors.get(&key)
            && record.rank() <= *floor
        {
            return Err(stale(record, floor.order.major));
        }
        if record.expires().is_some_and(|end| end <= now) {
            return Err(self.bury(&verified, out));
        }
        let mut receipt = Receipt { key: key.clone(), order: record.order(), id: record.id(), new: false };
        if self.slots.get(&key).is_some_and(|slot| slot.holds(record.id())) {
            return Ok(receipt);
        }
        self.check_usage(record)?;
        let old = self.slots.get(&key).map(|slot| Arc::clone(slot.winner()));
        let verified = Arc::new(verified);
        match self.slots.entry(key.clone()).or_default().take(Arc::clone(&verified)) {
            Taken::Behind(current) => return Err(stale(verified.record(), current)),
            Taken::Held => return Err(held(verified.record())),
            Taken::In { evicted } => {
                self.note_head(verified.record());
                self.entered(&verified, out);
                evicted.iter().for_each(|gone| self.left(gone, out));
            }
        }
        self.show(&key, old.as_ref());
        self.heed(&verified, out);
        receipt.new = true;
        Ok(receipt)
    }
}

fn answer(outcome: Result<Receipt, Refused>) -> Output {
    outcome.map_or_else(Output::Refused, Output::Accepted)
}

fn stale(record: &Record, current: u64) -> Refused {
    Refused::Stale { key: record.key().to_string(), offered: record.order().major, current }
}

fn held(record: &Record) -> Refused {
    let reason = "another node, which isn't revoked, was let in under this name before".into();
    Refused::NotAdmitted { key: record.key().to_string(), reason }
}

#[cfg(test)]
mod tests;
