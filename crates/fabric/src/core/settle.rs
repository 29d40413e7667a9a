//! Settle: when a record changes who may write, what no longer holds leaves.
//!
//! A change of root, operator or revoked key is worked out anew, level by level. A new member touches nothing but
//! its own name: ten thousand of them come one by one.

use std::collections::BTreeMap;

use types::{Digest, Namespace, PublicKey};

use crate::value::Value;
use crate::{Authority, Key, Kind, Output, Owner, RecordName, Verified};

use super::Core;
use super::slot::Slot;

impl Core {
    /// From now on `base` says who may write without any record; what was written by others leaves.
    pub(super) fn change_authority(&mut self, base: Authority, out: &mut Vec<Output>) {
        self.rules.rebase(base);
        self.settle(out);
    }

    /// Draws the conclusions from a record that has just come in.
    pub(super) fn heed(&mut self, taken: &Verified, out: &mut Vec<Output>) {
        match taken.value() {
            Value::Root(_) | Value::Operator(_) => self.settle(out),
            Value::Revoke(revoke) if self.concerns(&revoke.public_key) => self.settle(out),
            Value::Revoke(revoke) => self.rules.revoke(revoke.public_key),
            Value::Member(of) => {
                let name = &of.member.name;
                if self.rules.add_node(name, of.member.key) {
                    let owner = Owner::Node(name.clone());
                    let all = self.slots.iter().filter(|(key, _)| key.owner == owner);
                    let rogue = self.rogue(all);
                    self.banish(rogue, out);
                }
            }
            _ => {}
        }
    }

    /// Whether anything here depends on this key's not being revoked.
    fn concerns(&self, key: &PublicKey) -> bool {
        let by = |verified: &Verified| match verified.value() {
            Value::Member(of) => of.member.key == *key,
            _ => false,
        };
        !self.rules.revoked().contains(key)
            && (self.rules.is_based(key)
                || of_kind(&self.slots, &Kind::Member).any(|(_, slot)| slot.records().any(by)))
    }

    /// Works out anew who may write.
    fn settle(&mut self, out: &mut Vec<Output>) {
        for _ in 0..2 {
            // a second time, since the first may have been of a record that doesn't hold any more
            let root = winners(&self.slots, &Kind::Root).next();
            self.rules.set_root(root);
            self.sift(&Kind::Root, out);
        }
        self.sift(&Kind::Operator, out);
        self.sift(&Kind::Issuer, out);
        let mut changed = self.rules.set_operators(winners(&self.slots, &Kind::Operator));
        self.sift(&Kind::Revoke, out);
        self.rules.set_revoked(winners(&self.slots, &Kind::Revoke));
        self.sift(&Kind::Member, out);
        changed |= self.rules.set_nodes(winners(&self.slots, &Kind::Member));
        if changed {
            let rogue = self.rogue(&self.slots);
            self.banish(rogue, out);
        }
    }

    /// Drops the records of one kind that don't hold.
    fn sift(&mut self, kind: &Kind, out: &mut Vec<Output>) {
        let rogue = self.rogue(of_kind(&self.slots, kind));
        self.banish(rogue, out);
    }

    /// The records among these whose writers may not write them.
    fn rogue<'a>(&self, among: impl IntoIterator<Item = (&'a Key, &'a Slot)>) -> Vec<(Key, Digest)> {
        let of_slot = |(key, slot): (&'a Key, &'a Slot)| {
            let rogue = slot.records().filter(|verified| self.rules.permits(verified).is_err());
            rogue.map(|verified| (key.clone(), verified.record().id())).collect::<Vec<_>>()
        };
        among.into_iter().flat_map(of_slot).collect()
    }

    fn banish(&mut self, rogue: Vec<(Key, Digest)>, out: &mut Vec<Output>) {
        for (key, id) in rogue {
            self.shrink(&key, out, |slot| slot.drop_where(|record| record.id() == id));
        }
    }
}

/// All slots of a kind of the rules; these stand in the default namespace only.
fn of_kind<'a>(
    slots: &'a BTreeMap<Key, Slot>,
    kind: &Kind,
) -> impl Iterator<Item = (&'a Key, &'a Slot)> + use<'a> {
    let kind = kind.clone();
    let first = Key {
        kind: kind.clone(),
        namespace: Namespace::default(),
        owner: Owner::Operator,
        name: RecordName::least(),
    };
    slots.range(first..).take_while(move |(key, _)| key.kind == kind)
}

/// The records of a kind of the rules that hold.
fn winners<'a>(slots: &'a BTreeMap<Key, Slot>, kind: &Kind) -> impl Iterator<Item = &'a Verified> + use<'a> {
    of_kind(slots, kind).map(|(_, slot)| &**slot.winner())
}
