//! Serve: the small HTTP/1.1 server under the Rust example workloads.
//!
//! One thread and one `epoll` for all connections, so that a replica listens within a millisecond and costs next to
//! nothing beside two hundred others. What has to wait for somebody else is put [`Reply::Later`] and runs on a few
//! threads of its own, so that a slow neighbour never delays the health check.
//!
//! It keeps the contract of the mesh with a workload: `PORT` says where to listen, `SIGTERM` closes the door, lets
//! open requests finish and ends with status 0. It is no general server: request bodies are skipped, chunked ones
//! refused, and responses have a known length.

mod connection;
mod identity;
mod message;
mod server;
mod workers;

use std::io::{self, Write};
use std::process::ExitCode;

pub use identity::Identity;
pub use message::{Reply, Request, Response};

/// Serves `handler` on `127.0.0.1:$PORT` until SIGTERM; `name` is what the log lines call this workload.
///
/// The status is 0 after SIGTERM, 1 when serving failed and 2 when the environment is wrong.
pub fn main(name: &str, handler: impl Fn(&Request<'_>) -> Reply) -> ExitCode {
    let port = match std::env::var("PORT").ok().and_then(|port| port.parse::<u16>().ok()) {
        Some(port) => port,
        None => return complain(name, "PORT must be a port number (0 for any free one)", 2),
    };
    let started = server::Server::listen(port).and_then(|server| {
        // a log nobody can write to is no reason not to serve
        let _ = writeln!(io::stdout(), "{name} listening on {}", server.address()?);
        server.run(handler)
    });
    match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(name, &format!("failed to serve on port {port}: {error}"), 1),
    }
}

fn complain(name: &str, what: &str, status: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{name}: {what}");
    ExitCode::from(status)
}
