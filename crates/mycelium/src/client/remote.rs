//! A node elsewhere, reached over the overlay with the operator's key.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyphae::{Overlay, Stream};
use soul::SecretKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use types::PublicKey;

use crate::network::{self, API, PEER};

/// Nodes of a mesh, and the key that they know an operator by.
#[derive(Debug, Clone)]
pub struct Remote {
    /// The operator's key.
    pub key: Arc<SecretKey>,
    /// Which nodes to ask, the first that answers, and where they are.
    pub nodes: Vec<(PublicKey, Vec<SocketAddr>)>,
}

/// Another node, from a node.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) overlay: Overlay,
    pub(super) key: PublicKey,
}

impl Peer {
    pub(super) async fn connect(&self) -> io::Result<Stream> {
        self.overlay.open(self.key, PEER).await.map_err(io::Error::other)
    }
}

/// A connection; the overlay ends with it.
pub(super) struct Connection {
    stream: Stream,
    _overlay: Overlay,
}

impl Remote {
    pub(super) async fn connect(&self) -> io::Result<Connection> {
        let errand = network::errand(self.key.seed(), "this is an operator's client").await;
        let overlay = errand.map_err(io::Error::other)?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for (key, addresses) in &self.nodes {
            let opened = match overlay.learn(*key, addresses) {
                Ok(()) => overlay.open(*key, API).await.map_err(io::Error::other),
                Err(error) => Err(io::Error::other(error)),
            };
            match opened {
                Ok(stream) => return Ok(Connection { stream, _overlay: overlay }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// Where the nodes are, for messages.
impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.nodes.iter().flat_map(|(_, addresses)| addresses);
        let texts: Vec<String> = addresses.map(ToString::to_string).collect();
        f.write_str(&texts.join(", "))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
