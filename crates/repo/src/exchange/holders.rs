//! Who may have a spore, and a stream to one of them: told by whoever knows the network.

use std::io;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use types::{Digest, PublicKey};

/// A stream to a holder: ordered, reliable, and of a peer whose key was proven.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// What [`Holders::open`] returns.
pub type Opening<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Duplex>>> + Send + 'a>>;

/// Knows who may have spores, and how to reach them.
pub trait Holders: Send + Sync + 'static {
    /// Who may have the spore, or some of it, as far as is known now, the likelier first; this node isn't among them.
    /// Asked again and again while it is fetched, so that who appears is used and who is gone is left. It must not
    /// block.
    fn candidates(&self, digest: &Digest) -> Vec<PublicKey>;

    /// Opens a stream of `spore/1` to a node, which [serves](super::Exchange::serve) it.
    fn open(&self, peer: PublicKey) -> Opening<'_>;
}
