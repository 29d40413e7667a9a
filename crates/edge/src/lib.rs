//! Edge: the HTTP gateway of a node (a reverse proxy and load balancer).
//!
//! Clients' requests, `/{app}/rest` or by host name, go to the replicas of an app. HTTP/1.1 to HTTP/1.1 has a data
//! path of its own ([`http1`]), since routing is what this is for; everything with HTTP/2 in it goes over hyper. It
//! decides nothing about which replicas there are: its owner hands it a [`Table`] and asks when an endpoint is drained.
//!
//! Nothing here prints, reads configuration or starts processes.

mod config;
mod edge;
mod endpoint;
mod error;
mod hold;
pub mod http1;
mod io;
mod listen;
mod mux;
mod reach;
mod routes;
mod stats;
mod table;
mod trace;
mod worker;

pub use config::{Config, Limits};
pub use edge::{Edge, Listening};
pub use error::EdgeError;
pub use listen::Listen;
pub use reach::{Duplex, Opening, Reach, Tunnel};
pub use routes::Routes;
pub use stats::{AppStats, Histogram, Stats};
pub use table::{Balance, Protocol, Scaling, Table, Target};
pub use trace::Tracing;
