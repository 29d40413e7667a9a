//! Real repos in folders, real streams in memory; who lies, dies or is slow is one of the nodes.

mod forms;
mod full;
pub(crate) mod killed;
mod liars;
mod parts;
mod resume;
mod rig;
mod swarm;
