//! The near end of a tunnel: how the edge of this process opens a connection to a replica of another node.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use edge::{Duplex, Opening, Tunnel};
use std::time::{Duration, Instant};

use hyphae::Stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use types::{PublicKey, Timestamp};

use super::absent::Absence;
use super::wire::{self, Answer};
use super::{Inner, TUNNEL};

/// Between two dials of a node that is being started anew.
const AGAIN: Duration = Duration::from_millis(25);

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

    /// The same way, as one that nobody has used yet.
    pub(super) fn renewed(&self) -> Self {
        let since = *self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let leaving = Arc::new(AtomicBool::new(self.leaving.load(Ordering::SeqCst)));
        Self {
            inner: self.inner.clone(),
            node: self.node,
            id: self.id.clone(),
            since: Mutex::new(since),
            leaving,
        }
    }

    pub(super) fn leads_to(&self, node: PublicKey) -> bool {
        self.node == node
    }

    /// Whether another replica is to be used, if there is one.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        let node_leaves = || {
            let inner = self.inner.upgrade();
            let how = inner.and_then(|inner| inner.there.absent.of(&self.node));
            how.is_some_and(|(how, _)| how != Absence::Back)
        };
        self.leaving.load(Ordering::SeqCst) || node_leaves()
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
            let inner = inner.ok_or_else(ended)?;
            let head = head?;
            loop {
                let tried = dial(&inner, node, &head).await;
                let answer = match tried {
                    Ok((stream, Answer::Open)) => {
                        inner.there.serves(&node);
                        return Ok(Box::new(stream) as Box<dyn Duplex>);
                    }
                    Ok((stream, Answer::Leaving)) => {
                        if !leaving.swap(true, Ordering::SeqCst) {
                            inner.there.stir();
                        }
                        return Ok(Box::new(stream) as Box<dyn Duplex>);
                    }
                    Ok((stream, Answer::Pausing)) => {
                        inner.there.goes(node, Absence::Pauses);
                        ends(&inner, node, stream).await;
                        io::Error::other(Answer::Pausing.refusal())
                    }
                    Ok((_, refused)) => return Err(io::Error::other(refused.refusal())),
                    Err(error) => error,
                };
                if returns_until(&inner, node).is_none() {
                    return Err(answer);
                }
                sleep(AGAIN).await;
            }
        })
    }
}

fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "this node has left the overlay")
}

/// One try, and what the node says to it.
async fn dial(inner: &Inner, node: PublicKey, head: &[u8]) -> io::Result<(Stream, Answer)> {
    let overlay = inner.overlay.get().ok_or_else(ended)?;
    // Bounded by the overlay where it has to be dialled.
    let mut stream = overlay.open(node, TUNNEL).await.map_err(io::Error::other)?;
    let asking = async {
        stream.write_all(head).await?;
        stream.read_u8().await
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "its node did not answer");
    let answer = timeout(inner.here.limits.answer, asking).await.map_err(late)??;
    let answer = Answer::of(answer);
    let answer = answer.ok_or_else(|| io::Error::other("its node gave an answer of another version"))?;
    Ok((stream, answer))
}

/// Until when a node that is being started anew is waited for.
fn returns_until(inner: &Inner, node: PublicKey) -> Option<Instant> {
    let (how, until) = inner.there.absent.of(&node)?;
    (how == Absence::Pauses).then_some(until)
}

/// Waits until a node that pauses has ended: its stream does.
async fn ends(inner: &Inner, node: PublicKey, mut stream: Stream) {
    let Some(until) = returns_until(inner, node) else { return };
    let left = until.saturating_duration_since(Instant::now());
    let _ = timeout(left, stream.read_u8()).await;
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Route({} at {})", self.id, self.node)
    }
}
