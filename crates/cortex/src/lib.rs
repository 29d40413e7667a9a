//! Cortex: the planner (scheduler), a pure function of what the fabric knows.
//!
//! There is no leader: every node calls [`decide`] with the same records and gets the same [`Decision`], and
//! does its own part of it. So nothing here may depend on anything but the arguments: no clock, no chance, no
//! order of input. What is decided for one app:
//!
//! 1. which release: the plan's, slot by slot where its rollout says so, or the one before it once too many nodes
//!    saw the plan's fail;
//! 2. how much each replica gets: what the manifest, the operator or the nodes' learning says;
//! 3. how many replicas: demand within `min` and `max`, and no more than the budget holds;
//! 4. where: a replica that is there stays; a new one goes to the zone, and in it to the node, where the app has
//!    fewest, by consistent hashing with bounded loads; nodes count as full by what was promised on them, never by what is used. What moves
//!    between living nodes serves on where it is until what takes its place is ready.
//!
//! Beside it stands [`Load`], by which a node works out of what it sees how many replicas it asks for.
//!
//! Absent on purpose: reservations, preemption, live usage, moving work to make room.

mod decision;
mod effective;
mod fill;
mod leave;
mod level;
mod load;
mod place;
mod ring;
mod room;
mod scale;
mod shares;
mod size;
mod spread;
mod stage;
mod sticky;
#[cfg(test)]
mod testing;
mod verdict;
mod world;
mod zones;

pub use decision::{AppDecision, Assignment, Decision, Rollout, decide};
pub use load::{Around, Counts, Figure, Load};
pub use scale::Scaling;
pub use size::{SizedBy, Sizing, known, need, needs, sizing};
pub use verdict::verdicts;
pub use world::{Planned, World};
