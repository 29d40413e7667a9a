//! The agent with a real keeper and real processes, and its core in a simulated mesh.

mod launching;
mod rig;
mod updating;
