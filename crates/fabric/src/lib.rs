//! Fabric: the replicated record store (control-plane state).
//!
//! Everything the mesh knows is a set of small signed immutable [`Record`]s. Operators sign what should be
//! (plans, budgets, trust); nodes sign what they observe about themselves (endpoints, capacity, failures).
//! Nobody writes in another's name: each record is verified before it is stored ([`Record::verify`]), and
//! which of two records of one name holds is decided by the records alone, so that any two nodes that have
//! seen the same records hold the same state, in whatever order they came ([`Core`]).
//!
//! [`Fabric`] is the thread-safe handle that the rest of the process uses: submit, look ([`View`]),
//! subscribe. There is no queue anywhere: a subscriber that was away learns the latest state, never a backlog.
//!
//! Absent on purpose: sockets, threads, an async runtime, a clock, a random source. Time is an argument;
//! the network's driver and the disk ([`Journal`]) stand above.

mod authority;
mod changes;
mod core;
mod draft;
mod guard;
mod handle;
mod journal;
mod key;
mod kind;
mod name;
pub mod net;
mod order;
mod plans;
mod record;
mod refused;
mod seen;
#[cfg(test)]
mod testing;
mod value;
mod verified;
mod view;
mod watch;
mod wire;

pub use authority::Authority;
pub use changes::Changes;
pub use core::{Absence, Core, Input, Output, Receipt, stored_record};
pub use draft::{Draft, DraftError};
pub use guard::Guard;
pub use handle::{Config, Fabric, Herald, Merged, Pending};
pub use journal::{Journal, Write};
pub use key::{Key, Owner};
pub use kind::{Kind, KindError};
pub use name::{RecordName, RecordNameError};
pub use order::{Order, Rank};
pub use plans::{PlanChange, PlanSubscription};
pub use record::{MAX_PAYLOAD, Record, TOMBSTONE_LIFE};
pub use refused::Refused;
pub use seen::Seen;
pub use types::MeshId;
pub use value::Membership;
pub use verified::Verified;
pub use view::{Entry, View};
pub use wire::{MAX_RECORD, VERSION, WireError};
