//! Slot: the records of the highest order seen under one key.

use std::sync::Arc;

use types::Digest;

use crate::{Rank, Record, Verified};

/// So many operators' records of one generation are kept, the winner among them.
const MAX_CONFLICTING: usize = 8;

/// Never empty once it is in the store; all of one order, highest id first.
#[derive(Debug, Default)]
pub(super) struct Slot(Vec<Arc<Verified>>);

/// What became of a record that was offered to a slot.
pub(super) enum Taken {
    /// It is in; these are out.
    In { evicted: Vec<Arc<Verified>> },
    /// It is not above what is here, which has this generation.
    Behind(u64),
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
        self.0[1..]
            .iter()
            .map(|loser| loser.record())
            .filter(|loser| loser.payload() != winner.payload())
            .map(move |loser| (loser, winner))
    }

    /// Keeps the maximum: a higher order drives out all others, an equal one joins them in its place.
    pub(super) fn take(&mut self, offered: Arc<Verified>) -> Taken {
        let rank = offered.record().rank();
        let Some(held) = self.0.first().map(|held| held.record().rank().order) else {
            self.0.push(offered);
            return Taken::In { evicted: Vec::new() };
        };
        if rank.order < held {
            return Taken::Behind(held.major);
        }
        if rank.order > held {
            return Taken::In { evicted: std::mem::replace(&mut self.0, vec![offered]) };
        }
        let keep = if offered.record().is_operators() { MAX_CONFLICTING } else { 1 };
        let place = self.0.partition_point(|held| held.record().rank() > rank);
        if place >= keep {
            return Taken::Behind(held.major);
        }
        self.0.insert(place, offered);
        Taken::In { evicted: self.0.split_off(keep.min(self.0.len())) }
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
