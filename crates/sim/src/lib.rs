//! Sim: a mesh in one thread, from a seed.
//!
//! A discrete-event loop drives the production state machines: the store ([`fabric::Core`]), the network
//! ([`fabric::net::Net`]), the planner ([`cortex::decide`]) and the reconciler ([`agent::Core`]), over links that lose,
//! delay, double and reorder, are cut one way or both, between processes that stop, crash with the loss of what
//! wasn't synced, start again, and have clocks that are moved, on machines whose replicas take time to start, never get
//! ready, or end. The same seed gives the same trace, bit for bit ([`World::trace`]), so a failing seed is a test.
//!
//! [`chaos`] runs a seed with its faults and checks the invariants by name; [`measure`] asks the same world how
//! long things take.
//!
//! It touches nothing outside: no socket, no clock, no disk.

mod act;
pub mod chaos;
mod checked;
mod disk;
mod keeper;
mod keys;
mod links;
pub mod measure;
mod mind;
mod node;
mod planning;
mod queue;
mod records;
mod starve;
mod table;
mod trace;
mod watch;
mod work;
mod world;

pub use chaos::{Chaos, Failure};
pub use links::Weather;
pub use measure::{Figures, Measure};
pub use planning::Planning;
pub use watch::Broken;
pub use world::{World, WorldConfig};

#[cfg(test)]
mod tests;
