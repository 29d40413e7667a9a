//! Why an edge can't do what it was asked to.

use std::io;
use std::net::SocketAddr;

/// An edge that can't start.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// Somebody else listens there.
    #[error("listen on {addr}: it is taken by {holder}")]
    Taken {
        /// The address that was asked for.
        addr: SocketAddr,
        /// Who holds it, as well as can be found out.
        holder: String,
    },
    /// The system refused the address.
    #[error("listen on {addr}: {source}")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A text that is no address to listen on.
    #[error("read {text:?} as an address to listen on: it is neither :PORT nor ADDRESS:PORT")]
    Address {
        /// The text.
        text: String,
    },
    /// Sockets to adopt that can't be used.
    #[error("adopt listening sockets: {0}")]
    Adopt(io::Error),
    /// A worker thread could not be made.
    #[error("start an edge worker: {0}")]
    Worker(io::Error),
    /// It was stopped before.
    #[error("start an edge that was stopped")]
    Stopped,
}
