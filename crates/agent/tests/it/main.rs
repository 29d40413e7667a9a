//! The agent with a real keeper and real processes, and its core in a simulated mesh.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test that can't go on fails")]

mod confined;
mod figures;
mod launching;
mod nourished;
mod rig;
mod sim;
mod updating;
