//! Nutrients: the arithmetic of budgets (what an app has left over, and what more of a CPU it gets for that; what
//! its replicas need, as [learned](learn)). Integers only, so that all nodes get the same.
//!
//! An app that uses less than its baseline earns credits, microseconds of a CPU; one that wants more pays with them
//! for a larger weight, up to what is free on its node, and without any has the weight of its baseline. A weight
//! counts only while a CPU is wanted by more than one, so nothing that idles is ever withheld.
//!
//! Credits are spent where they lie, without asking anybody: each node keeps a [`Row`] of its own per app, and passes
//! credits on by an entry that the other node copies. This is a bounded counter (Balegas et al., "Extending Eventually
//! Consistent Cloud Databases for Enforcing Numeric Invariants", SRDS 2015), in which no merge, loss, repetition or cut
//! can make a credit or let one be spent twice.
//!
//! Plain arithmetic: no clock, no records, no processes.

mod account;
pub mod learn;
mod row;
mod share;

pub use account::{Account, Rules, portion};
pub use row::{Gift, Row};
pub use share::{Want, differs, goes_first, shares};

#[cfg(test)]
mod tests;
