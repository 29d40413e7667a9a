//! Which of two records of one key holds: decided by the records alone, never by a clock.

use types::Digest;

/// The largest number an order may hold, 2^53 - 1: every JSON reader can show it.
pub(crate) const MAX_ORDER: u64 = (1 << 53) - 1;

/// A writer's own count: the higher record of a key holds.
///
/// An operator's record has its generation and a zero, where the generation is the highest ever seen of the
/// name, and one. A node's record has the node's incarnation (raised at each start) and a sequence number
/// that runs over all its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Order {
    /// Generation or incarnation.
    pub major: u64,
    /// Zero or sequence number.
    pub minor: u64,
}

/// The place of one record among all records of its key, total: order first, then the record's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The writer's count.
    pub order: Order,
    /// The record's id, which decides between two of one order.
    pub id: Digest,
}

impl Order {
    /// The order of an operator's record.
    #[must_use]
    pub const fn generation(generation: u64) -> Self {
        Self { major: generation, minor: 0 }
    }

    /// The order of a node's record.
    #[must_use]
    pub const fn sequence(incarnation: u64, sequence: u64) -> Self {
        Self { major: incarnation, minor: sequence }
    }

    /// The next one of the same incarnation.
    pub(crate) const fn next(self) -> Self {
        Self { major: self.major, minor: self.minor + 1 }
    }
}
