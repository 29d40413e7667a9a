//! The overlay: what the rest of the node sees of it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::ConnectionError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;
use types::PublicKey;

use crate::endpoint::Endpoints;
use crate::identity::Identity;
use crate::legacy::{self, Legacy};
use crate::line::Bequest;
use crate::link::{Link, describe};
use crate::outbox::{self, Outbox};
use crate::protocol::{Kind, Protocol};
use crate::shared::Shared;
use crate::table::MOST_DATAGRAMS;
use crate::wire::{self, DATAGRAM, MAX_DATAGRAM, MAX_MESSAGE, PART, PING, RETIRE};
use crate::{
    Config, LearnError, OpenError, Peer, SendError, StartError, Stream, accept, close, dial, doubt, janitor,
    serve,
};

/// How often a stream is tried when the connection ended between being chosen and being used.
const TRIES: usize = 2;

/// A node's end of the overlay. Clones are the same one; with the last clone it ends at once, [`Overlay::close`] is the
/// polite way.
#[derive(Clone)]
pub struct Overlay {
    shared: Arc<Shared>,
    addresses: Arc<[SocketAddr]>,
    _last: Arc<Last>,
}

/// Ends everything when the last clone goes.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.closing.cancel();
        self.0.closed.cancel();
        self.0.table().closed = true;
        drop(self.0.take_endpoints());
    }
}

impl Overlay {
    /// Opens the sockets and serves peers from now on, on the tokio runtime that this is called on.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::succeed(config, Vec::new()).await
    }

    /// The same with what another run of this node has [left](Self::bequeath): its sockets become this one's, and it
    /// finishes what is open on its connections behind them. If it is gone, its sockets are taken all the same.
    pub async fn succeed(config: Config, left: Vec<OwnedFd>) -> Result<Self, StartError> {
        let identity = Identity::new(&config.key)?;
        check(&config.protocols)?;
        let mut run = [0; 8];
        getrandom::fill(&mut run).map_err(StartError::Random)?;
        let names = config.protocols.keys().map(String::as_str).chain([PING, DATAGRAM]);
        let legacy = Legacy::of(left);
        let endpoints = Endpoints::bind(identity, &config.listen, names, &config.limits, legacy).await?;
        let endpoints = Arc::new(endpoints);
        let addresses = endpoints.addresses().into();
        let run = u64::from_be_bytes(run);
        let shared = Shared::new(run, Arc::clone(&endpoints), config.limits, config.gate, config.protocols);
        let shared = Arc::new(shared);
        for endpoint in endpoints.each() {
            shared.spawn(accept::run(Arc::clone(&shared), endpoint.clone()));
        }
        shared.spawn(janitor::run(Arc::clone(&shared)));
        for line in endpoints.lines() {
            line.peers_are_told().await;
        }
        Ok(Self { addresses, _last: Arc::new(Last(Arc::clone(&shared))), shared })
    }

    /// What a successor in this process or another [takes](Self::succeed). Until it does, nothing changes; then this one
    /// finishes what is open, dials nobody any more, and is to be closed. If the successor dies, another can be prepared.
    pub fn bequeath(&self) -> std::io::Result<Vec<OwnedFd>> {
        let Some(endpoints) = self.shared.endpoints() else { return Ok(Vec::new()) };
        let bequests = endpoints.lines().map(|line| line.bequeath()).collect::<std::io::Result<Vec<_>>>()?;
        let (left, waiting) = bequests.into_iter().map(Bequest::split).unzip::<_, _, Vec<_>, Vec<_>>();
        self.shared.spawn(legacy::retire(Arc::clone(&self.shared), waiting));
        Ok(left.into_iter().flatten().collect())
    }

    /// This node's key.
    #[must_use]
    pub fn key(&self) -> PublicKey {
        self.shared.me
    }

    /// Where it listens, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Notes where a peer lives, in place of what was known. An address that it has no more is dropped at once: a
    /// connection over it is closed, a dial starts again. No address at all: the same as [`Overlay::forget`].
    pub fn learn(&self, peer: PublicKey, addresses: &[SocketAddr]) -> Result<(), LearnError> {
        if addresses.is_empty() {
            self.forget(&peer);
            return Ok(());
        }
        let limits = &self.shared.limits;
        let mut table = self.shared.table();
        let before = table.book.addresses(&peer).to_vec();
        let gone = table.book.learn(peer, addresses, limits.peers, limits.addresses)?;
        let same = table.book.addresses(&peer) == before;
        let Some(entry) = table.peers.get(&peer).filter(|_| !same) else { return Ok(()) };
        for link in entry.links.iter().filter(|link| link.is_open()) {
            if gone.contains(&link.address()) {
                link.close(wire::CODE_MOVED, "you announced other addresses");
            }
        }
        if let Some(attempt) = &entry.attempt {
            attempt.moved.send_modify(|times| *times += 1);
        }
        Ok(())
    }

    /// Forgets where a peer lives, and closes the connections to it. The gate says whether it may come back.
    pub fn forget(&self, peer: &PublicKey) {
        let mut table = self.shared.table();
        table.book.forget(peer);
        if let Some(entry) = table.peers.get(peer) {
            for link in &entry.links {
                link.close(wire::CODE_DONE, "you were forgotten");
            }
            if let Some(attempt) = &entry.attempt {
                attempt.moved.send_modify(|times| *times += 1);
            }
        }
        table.tidy(peer);
    }

    /// Closes the connections to a peer that the gate no longer admits; its addresses stay.
    pub fn cut(&self, peer: &PublicKey) {
        let table = self.shared.table();
        if let Some(entry) = table.peers.get(peer) {
            for link in &entry.links {
                link.close(wire::CODE_DONE, "you are not admitted any more");
            }
        }
    }

    /// Notes that a peer is said to be dead: connections to it over which nothing comes within a second are ended, so
    /// that whoever waits on one of their streams learns it then. One that speaks is left alone, and so is the address.
    pub fn doubt(&self, peer: &PublicKey) {
        let table = self.shared.table();
        for link in table.peers.get(peer).into_iter().flat_map(|entry| &entry.links) {
            self.shared.spawn(doubt::check(Arc::clone(link)));
        }
    }

    /// Opens a stream to a peer, over the connection there is or a new one. Returns as soon as it can be written to;
    /// a protocol that the peer doesn't serve, or no longer to us, shows when it is read. Waits while as many streams are
    /// open as the peer allows. May be called from any runtime.
    pub async fn open(&self, peer: PublicKey, protocol: &str) -> Result<Stream, OpenError> {
        if !wire::is_name(protocol) {
            return Err(OpenError::Name(protocol.to_owned()));
        }
        let mut lost = OpenError::Closed(peer);
        let mut tries = 0..TRIES;
        while !tries.is_empty() {
            let link = dial::link(&self.shared, peer, protocol).await?;
            let _hold = link.hold();
            if link.is_open() && !link.is_usable() {
                // Either end has just taken leave of it.
                continue;
            }
            tries.next();
            match open_on(&link, protocol).await {
                Ok(stream) => return Ok(stream),
                Err(error) => lost = OpenError::Lost { peer, reason: describe(&error) },
            }
        }
        Err(lost)
    }

    /// Sends a one-way message of at most [`MAX_MESSAGE`] bytes: those of one protocol arrive whole and in order as long
    /// as the connection lives; what is on its way when it breaks is lost. Never waits: it goes into a bounded outbox,
    /// which refuses when it is full.
    pub fn send(&self, peer: PublicKey, protocol: &str, message: Bytes) -> Result<(), SendError> {
        if !wire::is_name(protocol) {
            return Err(SendError::Name(protocol.to_owned()));
        }
        self.may_send(peer, message.len(), MAX_MESSAGE)?;
        let mut table = self.shared.table();
        if table.closed {
            return Err(SendError::Closed(peer));
        }
        let known = !table.book.addresses(&peer).is_empty();
        if !known && table.peers.get(&peer).and_then(|entry| entry.link()).is_none() {
            return Err(SendError::NoAddress(peer));
        }
        let entry = table.peers.entry(peer).or_default();
        if let Some(outbox) = entry.outboxes.get(protocol) {
            return outbox.push(message, &self.shared.limits).map_err(|_| SendError::Full(peer));
        }
        let outbox = Arc::new(Outbox::default());
        outbox.push(message, &self.shared.limits).map_err(|_| SendError::Full(peer))?;
        entry.outboxes.insert(protocol.to_owned(), Arc::clone(&outbox));
        self.shared.spawn_work(outbox::run(Arc::clone(&self.shared), peer, protocol.to_owned(), outbox));
        Ok(())
    }

    /// Sends a datagram of at most [`MAX_DATAGRAM`] bytes, which may be lost, overtake others, or be dropped when too many
    /// wait. Dials a peer that isn't connected. Never waits.
    pub fn send_datagram(&self, peer: PublicKey, datagram: Bytes) -> Result<(), SendError> {
        self.may_send(peer, datagram.len(), MAX_DATAGRAM)?;
        match dial::begin(&self.shared, peer, DATAGRAM) {
            Ok(Ok(link)) => {
                link.touch();
                // lost like any other datagram if it can't go
                let _ = link.connection.send_datagram(datagram);
                Ok(())
            }
            Ok(Err(_)) => {
                let mut table = self.shared.table();
                let Some(entry) = table.peers.get_mut(&peer) else { return Ok(()) };
                match entry.link() {
                    Some(link) => drop(link.connection.send_datagram(datagram)),
                    None if entry.attempt.is_some() => {
                        if entry.datagrams.len() == MOST_DATAGRAMS {
                            entry.datagrams.pop_front();
                        }
                        entry.datagrams.push_back(datagram);
                    }
                    None => {}
                }
                Ok(())
            }
            Err(OpenError::NoAddress(_)) => Err(SendError::NoAddress(peer)),
            Err(_) => Err(SendError::Closed(peer)),
        }
    }

    /// How long the peer's overlay takes to answer, over a connection that is made first if there is none.
    pub async fn ping(&self, peer: PublicKey) -> Result<Duration, OpenError> {
        let overlay = self.clone();
        let (closed, limit) = (self.shared.closed.clone(), self.shared.limits.dial);
        let task = async move {
            let mut stream = overlay.open(peer, PING).await?;
            let begun = Instant::now();
            let lost = |reason: String| OpenError::Lost { peer, reason };
            let echoed = timeout(limit, echo(&mut stream)).await;
            echoed
                .map_err(|_| lost("it did not answer a ping".to_owned()))?
                .map_err(|e| lost(e.to_string()))?;
            Ok(begun.elapsed())
        };
        let task = async move { closed.run_until_cancelled_owned(task).await };
        let done = self.shared.tasks.spawn_on(task, &self.shared.home).await;
        done.ok().flatten().unwrap_or(Err(OpenError::Closed(peer)))
    }

    /// All peers that are connected or were tried, by key.
    #[must_use]
    pub fn peers(&self) -> Vec<Peer> {
        self.shared.table().peers.iter().map(|(key, entry)| Peer::of(*key, entry)).collect()
    }

    /// Closes: takes nothing new, gives handlers and outboxes `grace` to finish, then ends every connection, task and
    /// socket, at most about 6 s later. May be called twice. A [`Stream`] that somebody still holds gives errors from then
    /// on; the ports are free when it is dropped, too.
    pub async fn close(&self, grace: Duration) {
        let closing = self.shared.home.spawn(close::close(Arc::clone(&self.shared), grace));
        // it fails only when the runtime ends, and everything with it
        let _ = closing.await;
    }

    fn may_send(&self, peer: PublicKey, given: usize, most: usize) -> Result<(), SendError> {
        if peer == self.shared.me {
            return Err(SendError::Myself(peer));
        }
        if given > most {
            return Err(SendError::TooLarge { peer, given, most });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Overlay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Overlay({}, {:?})", self.shared.me, self.addresses)
    }
}

/// Whether these can be served under these names.
fn check(protocols: &BTreeMap<String, Protocol>) -> Result<(), StartError> {
    for (name, protocol) in protocols {
        let datagrams = matches!(protocol.0, Kind::Datagrams(_));
        if !wire::is_name(name)
            || [PART, PING, RETIRE].contains(&name.as_str())
            || datagrams != (name == DATAGRAM)
        {
            return Err(StartError::Name(name.clone()));
        }
    }
    Ok(())
}

async fn open_on(link: &Arc<Link>, protocol: &str) -> Result<Stream, ConnectionError> {
    let (mut send, recv) = link.connection.open_bi().await?;
    // an error here is the connection's, and is met again by whoever uses the stream
    let _ = send.write_all(&wire::head(protocol)).await;
    Ok(Stream::new(send, recv, Arc::clone(link)))
}

/// Asks the peer of this very connection for an answer.
pub(crate) async fn ping_on(link: &Arc<Link>) -> std::io::Result<()> {
    let mut stream = open_on(link, PING).await?;
    echo(&mut stream).await
}

async fn echo(stream: &mut Stream) -> std::io::Result<()> {
    let ping = [0; serve::PING_SIZE];
    stream.write_all(&ping).await?;
    stream.shutdown().await?;
    let mut pong = [0; serve::PING_SIZE];
    stream.read_exact(&mut pong).await?;
    Ok(())
}
