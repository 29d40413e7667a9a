//! Spores over the overlay: the protocol that serves them, and the peers they are fetched from.

mod fetching;

use std::io;
use std::sync::Arc;

use hyphae::{Overlay, Protocol, Stream};
use repo::exchange::{Duplex, Exchange, Holders, Opening, PROTOCOL};
use types::{Digest, PublicKey};

pub(crate) use fetching::Fetcher;

/// Serves the spores of an exchange: to be given to the overlay under [`PROTOCOL`]. Who may ask is the gate's to say.
#[must_use]
pub fn protocol(exchange: Exchange) -> Protocol {
    Protocol::streams(move |peer: PublicKey, stream: Stream| {
        let exchange = exchange.clone();
        async move {
            if let Err(error) = exchange.serve(stream).await {
                tracing::debug!(%peer, %error, "serving spores to a peer ended");
            }
        }
    })
}

/// The peers of an overlay that may have a spore, as `candidates` tells: it is asked again and again while a spore is
/// fetched, must not block, and may name this node, which is left out.
pub fn holders(
    overlay: Overlay,
    candidates: impl Fn(&Digest) -> Vec<PublicKey> + Send + Sync + 'static,
) -> Arc<dyn Holders> {
    Arc::new(Peers { overlay, candidates })
}

struct Peers<F> {
    overlay: Overlay,
    candidates: F,
}

impl<F: Fn(&Digest) -> Vec<PublicKey> + Send + Sync + 'static> Holders for Peers<F> {
    fn candidates(&self, digest: &Digest) -> Vec<PublicKey> {
        let mut peers = (self.candidates)(digest);
        peers.retain(|peer| *peer != self.overlay.key());
        peers
    }

    fn open(&self, peer: PublicKey) -> Opening<'_> {
        Box::pin(async move {
            let stream = self.overlay.open(peer, PROTOCOL).await.map_err(io::Error::other)?;
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

#[cfg(test)]
mod tests;
