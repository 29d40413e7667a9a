//! Mycelium: the composition. `Config -> build() -> App -> run()`, the drivers, the local API.
//!
//! Everything that has an effect beyond one organ is wired here: the fabric's journal, the node
//! keys, the route table of the edge, the events on disk. It never prints and never exits; the CLI does.

pub mod api;
pub mod client;
mod paths;

pub use paths::Paths;
