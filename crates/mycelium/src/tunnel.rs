//! Traffic between nodes: a replica on another node is reached through a stream of the overlay, byte for byte.
//!
//! ```text
//!  client ─▶ edge of A ─▶ Route (edge::Tunnel) ══ tunnel/1 ══▶ Here ─▶ 127.0.0.1:port of the replica on B
//!                ▲                                              │
//!                └─ table ◀─ routes ◀─ There ◀══ drain/1 ═══ Places (counts, drains) ◀─ agent of B
//! ```
//!
//! Drain is exact across nodes. When B begins to drain a replica it tells the peers that have tunnels to it; their
//! edges take it out of use as soon as they know another one, finish what is open and close their tunnels. B takes
//! tunnels to it until none is open, so that a peer that hasn't heard of its heir yet is still served; then it refuses,
//! in the same moment in which the drain is over. It never closes a tunnel before the peer does.
//!
//! A node that is about to be started anew says so: its peers let go of their tunnels, use other nodes' replicas, and
//! where there are none wait for it to come back.
//!
//! It decides nothing about which replicas there are, and copies bytes without looking at them.

mod absent;
mod copy;
mod far;
mod here;
mod places;
mod there;
mod ways;
mod wire;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use fabric::Fabric;
use hyphae::{Overlay, Protocol, Stream};
use tokio::sync::watch;
use types::{NodeName, PublicKey, Timestamp};

use absent::Absence;
use far::Route;
use here::Here;
use there::There;
use wire::News;

use crate::routes;

pub use ways::{Site, Ways};

/// The protocol of tunnels: a stream each.
pub const TUNNEL: &str = "tunnel/1";
/// The protocol of news about drains: messages.
pub const DRAIN: &str = "drain/1";

/// Bounds on what peers may use, and on what is waited for.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Tunnels that one peer may have open to replicas here. Below what the overlay allows it of streams, or it
    /// would have none left for anything else.
    pub of_peer: usize,
    /// Tunnels that all peers together may have open to replicas here.
    pub all: usize,
    /// How long a peer may take to say where a tunnel goes.
    pub head: Duration,
    /// How long a replica here may take to accept a connection.
    pub connect: Duration,
    /// How long a tunnel may take to be opened to a node that is connected: its answer included.
    pub answer: Duration,
    /// How long a drain lasts at least while any peer is connected: until then they have heard of the heir.
    pub news: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            of_peer: 768,
            all: 16_384,
            head: Duration::from_secs(5),
            connect: Duration::from_millis(900),
            answer: Duration::from_secs(1),
            news: Duration::from_secs(1),
        }
    }
}

/// The tunnels of this process, in both directions. Clones are the same one.
#[derive(Clone)]
pub struct Tunnels {
    inner: Arc<Inner>,
}

struct Inner {
    overlay: OnceLock<Overlay>,
    here: Arc<Here>,
    there: Arc<There>,
}

impl Tunnels {
    /// Tunnels that go nowhere yet: the overlay is [attached](Self::attach) once it runs, since it has to serve
    /// [their protocols](Self::protocols) from its start.
    ///
    /// `local` says where the replica `app/node/replica` listens, if this process runs it and it is ready, or drains.
    #[must_use]
    pub fn new(local: impl Fn(&str) -> Option<SocketAddr> + Send + Sync + 'static, limits: Limits) -> Self {
        let here = Arc::new(Here::new(Box::new(local), limits));
        let inner = Inner { overlay: OnceLock::new(), here, there: Arc::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Tunnels to the replicas of those nodes of which `is_here` says that they are in this process.
    #[must_use]
    pub fn of_nodes(
        fabric: Fabric,
        is_here: impl Fn(&NodeName) -> bool + Send + Sync + 'static,
        limits: Limits,
    ) -> Self {
        Self::new(move |id| routes::local(&fabric.view(), &is_here, id), limits)
    }

    /// What the overlay has to serve, by name. Neither holds the overlay.
    #[must_use]
    pub fn protocols(&self) -> [(String, Protocol); 2] {
        let (here, there) = (Arc::clone(&self.inner.here), Arc::clone(&self.inner.there));
        let tunnel = Protocol::streams(move |peer: PublicKey, stream: Stream| {
            let here = Arc::clone(&here);
            async move { here.serve(peer, stream).await }
        });
        let drain = Protocol::messages(move |peer: PublicKey, message: Bytes| {
            there.hear(peer, &message);
            std::future::ready(())
        });
        [(TUNNEL.to_owned(), tunnel), (DRAIN.to_owned(), drain)]
    }

    /// The overlay that serves them; the first one stays.
    pub fn attach(&self, overlay: Overlay) {
        let _ = self.inner.overlay.set(overlay);
    }

    /// Resolves its `changed` when routes have to be made anew.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.there.changes()
    }

    /// The way to the replica `id` of the node with the key `node`, ready since `since`: the same one each time.
    #[must_use]
    pub fn reach(&self, node: PublicKey, id: &str, since: Timestamp) -> Arc<Route> {
        self.inner.there.reach(&self.inner, node, id, since)
    }

    /// Forgets ways to all replicas but these.
    pub(crate) fn keep(&self, is_ready: impl Fn(&str) -> bool) {
        self.inner.there.keep(is_ready);
    }

    /// Drains the replica `id` of this process: resolves when no peer has a tunnel to it, and none gets one any more.
    pub(crate) fn drained(&self, id: &str) -> impl Future<Output = ()> + Send + use<> {
        let (here, id) = (Arc::clone(&self.inner.here), id.to_owned());
        here.forget();
        let (peers, number) = here.places.drain(&id);
        self.tell(peers, &id, true);
        let heard = self.is_heard();
        async move {
            if heard {
                tokio::time::sleep(here.limits.news).await;
            }
            here.places.emptied(&id, number).await;
        }
    }

    /// Takes [`Tunnels::drained`] back.
    pub(crate) fn resumed(&self, id: &str) {
        let told = self.inner.here.places.resume(id);
        self.tell(told, id, false);
    }

    /// Tells peers that this node is about to be started anew, and takes no tunnel from now on.
    pub(crate) fn pause(&self) {
        self.inner.here.pause();
        let Some(overlay) = self.inner.overlay.get() else { return };
        let news = Bytes::from(News::Pauses.encode());
        for peer in overlay.peers().into_iter().filter(|peer| peer.connections > 0) {
            // Whoever isn't told is told when it opens a tunnel.
            let _ = overlay.send(peer.key, DRAIN, news.clone());
        }
    }

    /// Ends the pause: the overlay is about to close.
    pub(crate) fn end(&self) {
        self.inner.here.end();
    }

    /// Waits until peers have no tunnel open, at most for so long; how many there are after that.
    pub(crate) async fn idle(&self, most: Duration) -> usize {
        let places = &self.inner.here.places;
        let _ = tokio::time::timeout(most, places.idle()).await;
        places.open()
    }

    /// Serves on, for peers who know that this node leaves, until they have no tunnel to it: at most for so long.
    pub(crate) async fn gone(&self, most: Duration) {
        if self.is_heard() {
            tokio::time::sleep(self.inner.here.limits.news).await;
            self.idle(most).await;
        }
    }

    /// Whether any peer is connected.
    fn is_heard(&self) -> bool {
        let overlay = self.inner.overlay.get();
        overlay.is_some_and(|overlay| overlay.peers().iter().any(|peer| peer.connections > 0))
    }

    /// Notes that a node is there, be it for the first time or again.
    pub(crate) fn came(&self, node: &PublicKey) {
        self.inner.there.comes(node);
    }

    /// Notes that a node leaves: it is used until its work is done elsewhere.
    pub(crate) fn left(&self, node: PublicKey) {
        self.inner.there.goes(node, Absence::Leaves);
    }

    /// Notes that a node hands over to a successor: what idles in pools is opened anew.
    pub(crate) fn renew(&self, node: &PublicKey) {
        self.inner.there.renew(node);
    }

    /// Whether a node may be used although it is silent, or has left: it said before that it would be.
    pub(crate) fn expects(&self, node: &PublicKey) -> bool {
        self.inner.there.absent.of(node).is_some()
    }

    fn tell(&self, peers: impl IntoIterator<Item = PublicKey>, id: &str, leaves: bool) {
        let Some(overlay) = self.inner.overlay.get() else { return };
        let news = Bytes::from(News::Leaves(id, leaves).encode());
        for peer in peers {
            if let Err(error) = overlay.send(peer, DRAIN, news.clone()) {
                // It learns the same from the records, only later.
                tracing::debug!(%peer, %error, replica = id, "a peer was not told of a drain");
            }
        }
    }
}

impl std::fmt::Debug for Tunnels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tunnels({:?})", self.inner.overlay.get())
    }
}

#[cfg(test)]
mod tests;
