//! Mycelium: the composition (`Config -> App::start() -> run()`), the drivers, the local API.
//!
//! Everything that has an effect beyond one organ is wired here: the fabric's journal, the node
//! keys, the route table of the edge, the events on disk. It never prints and never exits; the CLI does.

mod admin;
pub mod admission;
mod advise;
pub mod api;
mod app;
mod body;
mod burn;
pub mod client;
mod clock;
mod config;
mod counters;
mod demand;
mod events;
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
mod journal;
mod lock;
mod logs;
mod machine;
pub mod member;
mod metrics;
mod network;
mod nodes;
mod otlp;
mod paths;
mod presence;
mod quarantine;
mod routes;
mod server;
mod settle;
mod sight;
mod sockets;
mod spores;
mod status;
mod takeover;
mod tls;
mod trace;
mod traffic;
mod tunnel;
mod usage;
mod vault;

pub use app::{App, Outcome, Remains, RunError};
pub use config::{Config, StartError};
pub use paths::{NotOurs, Paths};
pub use scent::{BadSettings, Settings as Otlp};
pub use tls::{Tls, TlsError};
pub use vault::{Vault, VaultError};
