//! What goes into a step of the store, and what comes out.

use types::{Digest, NodeName};

use super::Absence;
use crate::{Authority, Key, Order, Refused, Verified, Write};

/// One step.
#[derive(Debug, Clone)]
pub enum Input {
    /// A record that was written here: an operator's must go on from what is here.
    Submit(Verified),
    /// A record that a peer holds.
    Merge(Verified),
    /// From now on these keys may write. What others wrote leaves.
    Authority(Authority),
    /// Time has passed.
    Tick,
    /// The node of this name, on which this store is, runs at this moment.
    Awake(NodeName),
    /// A peer that stayed lacks these, and has all others that are in doubt here.
    Forget(Vec<Digest>),
    /// Whoever gave us this record doubts it.
    Doubt(Digest),
    /// Something that readers go by beside the store has changed: they are to look again.
    Touch,
}

/// What follows from a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The record is in the store.
    Accepted(Receipt),
    /// The record is not in the store.
    Refused(Refused),
    /// To be written to the journal, in order.
    Write(Write),
    /// This node was away, or is so no longer.
    Absence(Absence),
    /// What readers see has changed; this is its version now.
    Changed(u64),
}

/// What became of an accepted record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What the record is about.
    pub key: Key,
    /// The record's order.
    pub order: Order,
    /// The record's id.
    pub id: Digest,
    /// Whether it was not here before: then peers want it too.
    pub new: bool,
}
