//! Slot: the records of the highest order seen under one key.
//!
//! Two kinds have their own measure. Of `root` records the later root's is higher, whatever its count. A name among
//! nodes belongs to the key that was let in under it first, until that key is revoked: of this key the slot holds
//! the newest `member` record, which says what holds, and the oldest, which shows since when. (The newest alone
//! would make a claim younger with each renewal.)

use std::sync::Arc;

use types::{Digest, PublicKey, Timestamp};

use crate::value::Value;
use crate::{Kind, Order, Rank, Record, Verified};

/// So many operators' records of one generation are kept, the winner among them.
const MAX_CONFLICTING: usize = 8;

/// Never empty once it is in the store; all of one height, highest id first. Of a node's membership: the newest, and
/// the oldest if that is another one.
#[derive(Debug, Default)]
pub(super) struct Slot(Vec<Arc<Verified>>);

/// What became of a record that was offered to a slot.
pub(super) enum Taken {
    /// It is in; these are out.
    In { evicted: Vec<Arc<Verified>> },
    /// It is not above what is here, which has this generation.
    Behind(u64),
    /// Another node was let in under this name before.
    Held,
}

/// What is compared first of two records of one key.
fn height(verified: &Verified) -> (u64, Order) {
    let root = match verified.value() {
        Value::Root(papers) => papers.generation(),
        _ => 0,
    };
    (root, verified.record().order())
}

/// Of two keys with one name the lower claim holds: who came first.
fn claim(verified: &Verified) -> (Timestamp, PublicKey) {
    let since = match verified.value() {
        Value::Member(of) => of.since(),
        _ => Timestamp::default(),
    };
    (since, verified.record().writer())
}

impl Slot {
    pub(super) fn winner(&self) -> &Arc<Verified> {
        self.0.first().expect("a slot in the store is not empty")
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &Verified> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub(super) fn holds(&self, id: Digest) -> bool {
        self.0.iter().any(|held| held.record().id() == id)
    }

    /// Losers that say something else than the winner, each with the winner.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = (&Record, &Record)> {
        let winner = self.winner().record();
        let losers = if winner.is_operators() { &self.0[1..] } else { &[] };
        losers
            .iter()
            .map(|loser| loser.record())
            .filter(|loser| loser.payload() != winner.payload())
            .map(move |loser| (loser, winner))
    }

    /// Keeps the maximum: a higher record drives out all others, an equally high one joins them in its place.
    pub(super) fn take(&mut self, offered: Arc<Verified>) -> Taken {
        let rank = offered.record().rank();
        let Some(held) = self.0.first() else {
            self.0.push(offered);
            return Taken::In { evicted: Vec::new() };
        };
        if offered.record().key().kind == Kind::Member {
            return self.take_member(offered);
        }
        let (major, held) = (held.record().order().major, height(held));
        if height(&offered) < held {
            return Taken::Behind(major);
        }
        if height(&offered) > held {
            return Taken::In { evicted: std::mem::replace(&mut self.0, vec![offered]) };
        }
        let keep = if offered.record().is_operators() { MAX_CONFLICTING } else { 1 };
        let place = self.0.partition_point(|held| held.record().rank() > rank);
        if place >= keep {
            return Taken::Behind(major);
        }
        self.0.insert(place, offered);
        Taken::In { evicted: self.0.split_off(keep.min(self.0.len())) }
    }

    fn take_member(&mut self, offered: Arc<Verified>) -> Taken {
        let age = |verified: &Arc<Verified>| (claim(verified), verified.record().rank());
        let (newest, oldest) = (self.winner().clone(), self.0[self.0.len() - 1].clone());
        if newest.record().writer() != offered.record().writer() {
            if claim(&offered) > claim(&oldest) {
                return Taken::Held;
            }
            return Taken::In { evicted: std::mem::replace(&mut self.0, vec![offered]) };
        }
        let is_newer = offered.record().rank() > newest.record().rank();
        let is_older = age(&offered) < age(&oldest);
        if !is_newer && !is_older {
            return Taken::Behind(newest.record().order().major);
        }
        let now_newest = if is_newer { &offered } else { &newest };
        let now_oldest = if is_older { &offered } else { &oldest };
        let mut held = vec![Arc::clone(now_newest)];
        if now_oldest.record().id() != now_newest.record().id() {
            held.push(Arc::clone(now_oldest));
        }
        let before = std::mem::replace(&mut self.0, held);
        Taken::In { evicted: before.into_iter().filter(|old| !self.holds(old.record().id())).collect() }
    }

    /// Drops what is not above `floor`; returns it.
    pub(super) fn drop_upto(&mut self, floor: Rank) -> Vec<Arc<Verified>> {
        let kept = self.0.partition_point(|held| held.record().rank() > floor);
        self.0.split_off(kept)
    }

    /// Drops what `leaves`; returns it.
    pub(super) fn drop_where(&mut self, leaves: impl Fn(&Record) -> bool) -> Vec<Arc<Verified>> {
        let (gone, kept) = std::mem::take(&mut self.0).into_iter().partition(|held| leaves(held.record()));
        self.0 = kept;
        gone
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
