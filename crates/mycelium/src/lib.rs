//! Mycelium: the composition. `Config -> App::start() -> run()`, the drivers, the local API.
//!
//! Everything that has an effect beyond one organ is wired here: the fabric's journal, the node
//! keys, the route table of the edge, the events on disk. It never prints and never exits; the CLI does.

pub mod api;
mod body;
pub mod client;
mod clock;
mod events;
pub mod identity;
mod journal;
mod lock;
mod machine;
mod paths;
mod tls;

pub use paths::Paths;
pub use tls::Tls;
