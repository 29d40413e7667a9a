//! One connection to a peer, and what is counted about it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use quinn::{Connection, ConnectionError, TransportErrorCode, VarInt};
use tokio::sync::Notify;
use types::PublicKey;

use crate::book::canonical;
use crate::pick::Facts;
use crate::wire;

/// How many streams a peer may have open at first: the transport keeps 80 bytes for each that may be.
pub const FIRST_STREAMS: u32 = 64;

/// A connection that was greeted on both sides.
pub struct Link {
    pub peer: PublicKey,
    pub connection: Connection,
    pub facts: Facts,
    /// When it was ready, by the clock on the wall.
    pub since: SystemTime,
    /// Whether the peer was a stranger when last asked.
    pub stranger: AtomicBool,
    /// Whether nothing new begins on it, because the peer said so, or because this end takes leave.
    retired: AtomicBool,
    /// Whether this end takes leave.
    parting: AtomicBool,
    /// Whether the peer was told the same of this end.
    released: AtomicBool,
    /// Streams open on it, both ways and one-way ones that carried something lately.
    active: AtomicUsize,
    /// Told when the last of them ends.
    ended: Notify,
    /// How many streams the peer may have open.
    allowed: AtomicU32,
    /// When it was last used, in milliseconds since `epoch`.
    used: AtomicU64,
    epoch: Instant,
}

impl Link {
    /// A connection that is ready now.
    pub fn new(peer: PublicKey, connection: Connection, run: u64, ours: bool, epoch: Instant) -> Self {
        let link = Self {
            peer,
            connection,
            facts: Facts { run, ours, since: epoch.elapsed() },
            since: SystemTime::now(),
            stranger: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            parting: AtomicBool::new(false),
            released: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            ended: Notify::new(),
            allowed: AtomicU32::new(FIRST_STREAMS),
            used: AtomicU64::new(0),
            epoch,
        };
        link.touch();
        link
    }

    /// Whether anything can still be sent on it.
    pub fn is_open(&self) -> bool {
        self.connection.close_reason().is_none()
    }

    /// Whether something new may begin on it.
    pub fn is_usable(&self) -> bool {
        self.is_open() && !self.retired.load(Ordering::SeqCst)
    }

    /// Notes that nothing new may begin on it.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    /// Notes that the peer is told to begin nothing new on it.
    pub fn release(&self) {
        self.released.store(true, Ordering::SeqCst);
    }

    /// Whether a newer connection may take its place: those that are for what is open on them alone stay beside it.
    pub fn is_replaceable(&self) -> bool {
        self.is_usable() && !self.released.load(Ordering::SeqCst)
    }

    /// Says in a word that this end begins nothing new on it, and waits until the peer has come to terms with it: then it
    /// drops the stream, which is left without an end for that. That it has the bytes would say less.
    pub async fn tell(&self, word: &str) {
        let Ok(mut send) = self.connection.open_uni().await else { return };
        // An error is the connection's end, which says the same.
        let _ = send.write_all(&wire::head(word)).await;
        let _ = send.stopped().await;
    }

    /// Takes leave of a peer that may begin something at the same moment: the peer answers when nothing of its own is open
    /// on it any more, and then the connection is closed.
    pub fn part(self: Arc<Self>) -> impl Future<Output = ()> {
        self.parting.store(true, Ordering::SeqCst);
        self.retire();
        async move {
            self.tell(wire::PART).await;
            self.settled().await;
            self.close(wire::CODE_DONE, "nobody used it");
        }
    }

    /// Waits until no stream is open on it.
    pub async fn settled(&self) {
        loop {
            let ended = self.ended.notified();
            if self.active() == 0 || !self.is_open() {
                return;
            }
            tokio::select! {
                () = ended => {}
                _ = self.connection.closed() => return,
            }
        }
    }

    /// Whether this end takes leave.
    pub fn is_parting(&self) -> bool {
        self.parting.load(Ordering::SeqCst)
    }

    /// Closes it; both sides get to know the reason.
    pub fn close(&self, code: u32, reason: &str) {
        self.connection.close(VarInt::from_u32(code), wire::shorten(reason).as_bytes());
    }

    /// Notes that it was used.
    pub fn touch(&self) {
        self.used.store(self.now(), Ordering::Relaxed);
    }

    /// Holds on to it: it counts as a stream, until it is dropped.
    pub fn hold(self: &Arc<Self>) -> Hold {
        self.begin();
        Hold(Arc::clone(self))
    }

    /// One more stream.
    pub fn begin(&self) {
        self.active.fetch_add(1, Ordering::SeqCst);
    }

    /// One stream less.
    pub fn end(&self) {
        if self.active.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.ended.notify_waiters();
        }
        self.touch();
    }

    /// Lets a peer that uses half of the streams that it may have open have twice as many, up to `most`.
    pub fn widen(&self, most: u32) {
        let allowed = self.allowed.load(Ordering::Relaxed);
        if allowed < most && 2 * self.active() > allowed as usize {
            let more = (2 * allowed).min(most);
            self.allowed.store(more, Ordering::Relaxed);
            self.connection.set_max_concurrent_bi_streams(VarInt::from_u32(more));
        }
    }

    /// Streams open on it.
    pub fn active(&self) -> usize {
        self.active.load(Ordering::SeqCst)
    }

    /// How long it has not been used; nothing while a stream is open.
    pub fn unused(&self) -> Duration {
        if self.active() > 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.now().saturating_sub(self.used.load(Ordering::Relaxed)))
    }

    /// How long it has been there.
    pub fn age(&self) -> Duration {
        self.epoch.elapsed().saturating_sub(self.facts.since)
    }

    /// Where packets to the peer go.
    pub fn address(&self) -> SocketAddr {
        canonical(&self.connection.remote_address())
    }

    /// Why it is closed, for people; `None` while it is open.
    pub fn why(&self) -> Option<String> {
        self.connection.close_reason().map(|error| describe(&error))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What keeps a connection from being closed as unused.
pub struct Hold(Arc<Link>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Why a connection ended, for people.
pub fn describe(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            let reason = wire::printable(&close.reason);
            match u32::try_from(u64::from(close.error_code)) {
                Ok(wire::CODE_REFUSED) => format!("it refused: {reason}"),
                _ if reason.is_empty() => "it closed the connection".to_owned(),
                _ => format!("it closed the connection: {reason}"),
            }
        }
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            "it takes no connection now".to_owned()
        }
        ConnectionError::ConnectionClosed(close) => {
            format!("its transport closed the connection: {}", wire::printable(&close.reason))
        }
        ConnectionError::TimedOut => "nothing came from it any more".to_owned(),
        ConnectionError::Reset => "it no longer knows the connection".to_owned(),
        ConnectionError::LocallyClosed => "the connection was closed here".to_owned(),
        other => other.to_string(),
    }
}
