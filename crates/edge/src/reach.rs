//! Reach: how the edge gets to an endpoint, over a socket of its own or through somebody else's connection.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

/// Where an endpoint is, as seen from here.
#[derive(Debug, Clone)]
pub enum Reach {
    /// It listens on this address.
    Socket(SocketAddr),
    /// It is behind a tunnel: on another node.
    Tunnel(Arc<dyn Tunnel>),
}

/// A way to one endpoint that the edge can't open a socket to.
pub trait Tunnel: fmt::Debug + Send + Sync {
    /// The far end, for people.
    fn name(&self) -> String;

    /// Opens one connection. It is there once the endpoint itself has taken it: an error means that nothing
    /// reached the endpoint. How long that may take is for the tunnel to bound: it knows how far it goes.
    fn open(&self) -> Opening;
}

/// A connection on its way.
pub type Opening = Pin<Box<dyn Future<Output = io::Result<Box<dyn Duplex>>> + Send>>;

/// A connection's bytes, both ways.
pub trait Duplex: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + fmt::Debug + Send + Unpin> Duplex for T {}

impl From<SocketAddr> for Reach {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

/// The same socket address, or the very same tunnel.
impl PartialEq for Reach {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Socket(one), Self::Socket(other)) => one == other,
            (Self::Tunnel(one), Self::Tunnel(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Reach {}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Tunnel(tunnel) => f.write_str(&tunnel.name()),
        }
    }
}
