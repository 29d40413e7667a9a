//! A row: what one node has earned, spent, passed on and been given of one app's credits.

use std::collections::BTreeMap;

use types::NodeName;

/// So many nodes are remembered on either side of a row; more gifts wait, or are not made.
const MAX_GIFTS: usize = 64;

/// One node's side of an app's credits, in microseconds of a CPU. Only that node writes it, and no number ever falls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Which row of this node and app it is: greater than that of any before it.
    pub life: u64,
    /// What the app left over here.
    pub earned: u64,
    /// What it took for that.
    pub spent: u64,
    /// What was passed on, by who may have it.
    pub given: BTreeMap<NodeName, Gift>,
    /// What was passed on to here and taken, by who gave it.
    pub taken: BTreeMap<NodeName, Gift>,
}

/// All that one row has passed on to one other row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gift {
    /// The other row: what was meant for another life of it is void.
    pub life: u64,
    /// How much, since either began.
    pub micros: u64,
}

impl Row {
    /// An empty row.
    #[must_use]
    pub fn new(life: u64) -> Self {
        Self { life, ..Self::default() }
    }

    /// What is left; `None` for a row that no arithmetic leads to.
    #[must_use]
    pub fn balance(&self) -> Option<u64> {
        let sum = |gifts: &BTreeMap<NodeName, Gift>| {
            gifts.values().try_fold(0_u64, |sum, gift| sum.checked_add(gift.micros))
        };
        let came = self.earned.checked_add(sum(&self.taken)?)?;
        came.checked_sub(self.spent.checked_add(sum(&self.given)?)?)
    }

    /// The later of two states of one row, whichever comes first: the join of a lattice.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        if self.life != other.life {
            return if self.life > other.life { self } else { other.clone() };
        }
        self.earned = self.earned.max(other.earned);
        self.spent = self.spent.max(other.spent);
        for (ours, theirs) in [(&mut self.given, &other.given), (&mut self.taken, &other.taken)] {
            for (node, gift) in theirs {
                let entry = ours.entry(node.clone()).or_default();
                *entry = (*entry).max(*gift);
            }
        }
        self
    }

    /// Passes on up to `micros` to the row of `to` that lives now; how much it was.
    pub fn give(&mut self, to: &NodeName, life: u64, micros: u64) -> u64 {
        let micros = micros.min(self.balance().unwrap_or(0));
        let known = self.given.get(to).copied();
        if micros == 0
            || known.is_some_and(|known| known.life > life)
            || (known.is_none() && self.given.len() >= MAX_GIFTS)
        {
            return 0;
        }
        let entry = self.given.entry(to.clone()).or_default();
        if entry.life != life {
            // What its former life was given went with it.
            self.spent += entry.micros;
            *entry = Gift { life, micros: 0 };
        }
        entry.micros += micros;
        micros
    }

    /// Takes of what the row `theirs` of `from` has passed on to `me`, as far as there is `room`; how much it was.
    pub fn take(&mut self, me: &NodeName, from: &NodeName, theirs: &Self, room: u64) -> u64 {
        let Some(gift) = theirs.given.get(me).filter(|gift| gift.life == self.life) else { return 0 };
        let known = self.taken.get(from).copied();
        if from == me
            || known.is_some_and(|known| known.life > theirs.life)
            || (known.is_none() && self.taken.len() >= MAX_GIFTS)
        {
            return 0;
        }
        let before = known.filter(|known| known.life == theirs.life).map_or(0, |known| known.micros);
        let micros = gift.micros.saturating_sub(before).min(room);
        if micros == 0 {
            return 0;
        }
        if let Some(former) = known.filter(|known| known.life != theirs.life) {
            self.earned += former.micros;
        }
        self.taken.insert(from.clone(), Gift { life: theirs.life, micros: before + micros });
        micros
    }
}
