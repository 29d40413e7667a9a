//! The near end of a tunnel: how the edge of this process opens a connection to a replica of another node.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use edge::{Duplex, Opening, Tunnel};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use types::{PublicKey, Timestamp};

use super::wire::{self, Answer};
use super::{Inner, TUNNEL};

/// The way to one replica.
pub struct Route {
    inner: Weak<Inner>,
    node: PublicKey,
    id: String,
    /// Since when the replica is ready, by its record.
    since: Mutex<Timestamp>,
    /// Whether its node said that it drains, after that.
    leaving: Arc<AtomicBool>,
}

impl Route {
    pub(super) fn new(inner: Weak<Inner>, node: PublicKey, id: String, since: Timestamp) -> Self {
        Self { inner, node, id, since: Mutex::new(since), leaving: Arc::default() }
    }

    pub(super) fn leads_to(&self, node: PublicKey) -> bool {
        self.node == node
    }

    /// Whether another replica is to be used, if there is one.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::SeqCst)
    }

    /// Notes that it drains, or no longer does; says whether that is news.
    pub(super) fn leaves(&self, leaves: bool) -> bool {
        self.leaving.swap(leaves, Ordering::SeqCst) != leaves
    }

    /// Notes since when its record says that it is ready: a newer time means that an older drain was taken back.
    pub(super) fn ready_since(&self, since: Timestamp) {
        let mut known = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != since {
            *known = since;
            self.leaves(false);
        }
    }
}

impl Tunnel for Route {
    fn name(&self) -> String {
        format!("node {}", self.node)
    }

    fn open(&self) -> Opening {
        let (inner, leaving) = (self.inner.upgrade(), Arc::clone(&self.leaving));
        let (node, head) = (self.node, wire::head(&self.id));
        Box::pin(async move {
            let ended = || io::Error::new(io::ErrorKind::NotConnected, "this node has left the overlay");
            let inner = inner.ok_or_else(ended)?;
            let overlay = inner.overlay.get().ok_or_else(ended)?;
            // Bounded by the overlay where it has to be dialled.
            let mut stream = overlay.open(node, TUNNEL).await.map_err(io::Error::other)?;
            let asking = async {
                stream.write_all(&head?).await?;
                stream.read_u8().await
            };
            let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its node did not answer");
            let answer = timeout(inner.here.limits.answer, asking).await.map_err(late)??;
            match Answer::of(answer) {
                Some(Answer::Open) => {}
                Some(Answer::Leaving) => {
                    if !leaving.swap(true, Ordering::SeqCst) {
                        inner.there.stir();
                    }
                }
                Some(refused) => return Err(io::Error::other(refused.refusal())),
                None => return Err(io::Error::other("its node gave an answer of another version")),
            }
            Ok(Box::new(stream) as Box<dyn Duplex>)
        })
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({} at {})", self.id, self.node)
    }
}
