//! Nodes with a repo each, joined by streams in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use types::{Digest, PublicKey};

use crate::Repo;
use crate::exchange::outline::Outline;
use crate::exchange::{Duplex, Exchange, Holders, Limits, Opening};

/// One node.
#[derive(Clone)]
pub struct Node {
    pub key: PublicKey,
    pub exchange: Exchange,
    dir: PathBuf,
    /// Gone with the last clone.
    _own: Option<Arc<tempfile::TempDir>>,
}

/// The key of the `n`th node.
pub fn key(n: u8) -> PublicKey {
    let key = ed25519_dalek::SigningKey::from_bytes(&[n + 1; 32]).verifying_key();
    PublicKey::from_bytes(key.as_bytes()).unwrap()
}

/// Limits that end a test soon when something doesn't come.
pub fn limits() -> Limits {
    Limits {
        idle: Duration::from_secs(5),
        linger: Duration::from_millis(20),
        patience: Duration::from_secs(10),
        ..Limits::default()
    }
}

/// Content of so many bytes that differs from seed to seed, and from block to block.
pub fn content(seed: u64, bytes: usize) -> Vec<u8> {
    let mut block = Digest::of(&seed.to_le_bytes()).as_bytes().repeat(128);
    let mut content = Vec::with_capacity(bytes + block.len());
    while content.len() < bytes {
        let at = content.len().to_le_bytes();
        block[..at.len()].copy_from_slice(&at);
        content.extend_from_slice(&block);
    }
    content.truncate(bytes);
    content
}

impl Node {
    pub fn new(n: u8) -> Self {
        Self::with(n, limits())
    }

    pub fn with(n: u8, limits: Limits) -> Self {
        let own = tempfile::tempdir().unwrap();
        let node = Self::at(n, own.path(), limits);
        Self { _own: Some(Arc::new(own)), ..node }
    }

    /// With its repo in a folder that stays.
    pub fn at(n: u8, dir: &Path, limits: Limits) -> Self {
        let exchange = Exchange::new(Repo::open(dir).unwrap(), limits);
        Self { key: key(n), exchange, dir: dir.to_owned(), _own: None }
    }

    /// The same repo after the end of its process.
    pub fn restarted(&self, limits: Limits) -> Self {
        Self { exchange: Exchange::new(Repo::open(&self.dir).unwrap(), limits), ..self.clone() }
    }

    pub fn repo(&self) -> &Repo {
        self.exchange.repo()
    }

    pub fn put(&self, content: &[u8]) -> Digest {
        self.repo().put(content).unwrap().0
    }

    /// Lets the node take `content` for the spore `digest`, and claim `outline` for it.
    pub fn pretend(&self, digest: &Digest, content: &[u8], outline: Outline) {
        std::fs::write(self.dir.join(format!("{digest}.spore")), content).unwrap();
        self.exchange.outlines().keep(self.repo(), digest, &Arc::new(outline));
    }

    pub async fn has(&self, digest: &Digest, content: &[u8]) {
        assert_eq!(std::fs::read(self.repo().path(digest).unwrap()).unwrap(), content);
        assert_eq!(self.names(), [format!("{digest}.spore")], "nothing else is left");
    }

    /// Every name in the folder but the lock's.
    pub fn names(&self) -> Vec<String> {
        crate::tests::names(&self.dir)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn sent(&self) -> u64 {
        self.exchange.stats().sent
    }
}

/// The outline of some content.
pub fn outline(content: &[u8]) -> Outline {
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, content).unwrap();
    Outline::of(&file).unwrap().0
}

/// Nodes that find each other.
#[derive(Default)]
pub struct Net {
    nodes: Mutex<BTreeMap<PublicKey, Node>>,
    gone: Mutex<BTreeSet<PublicKey>>,
    /// After how many bytes a node's streams break.
    fuses: Mutex<BTreeMap<PublicKey, usize>>,
    opened: AtomicUsize,
}

impl Net {
    pub fn of(nodes: &[&Node]) -> Arc<Self> {
        let net = Self::default();
        nodes.iter().for_each(|node| net.add(node));
        Arc::new(net)
    }

    pub fn add(&self, node: &Node) {
        self.nodes.lock().unwrap().insert(node.key, node.clone());
        self.gone.lock().unwrap().remove(&node.key);
    }

    /// The node isn't listed any more.
    pub fn remove(&self, node: &Node) {
        self.nodes.lock().unwrap().remove(&node.key);
    }

    /// The node is listed, and can't be reached.
    pub fn lose(&self, node: &Node) {
        self.gone.lock().unwrap().insert(node.key);
    }

    /// Every stream to the node breaks after so many bytes of its answers.
    pub fn fuse(&self, node: &Node, bytes: usize) {
        self.fuses.lock().unwrap().insert(node.key, bytes);
    }

    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// As `node` sees it.
    pub fn for_node(self: &Arc<Self>, node: &Node) -> Arc<dyn Holders> {
        Arc::new(Seen { net: Arc::clone(self), by: node.key })
    }
}

struct Seen {
    net: Arc<Net>,
    by: PublicKey,
}

impl Holders for Seen {
    fn candidates(&self, _: &Digest) -> Vec<PublicKey> {
        self.net.nodes.lock().unwrap().keys().copied().filter(|key| *key != self.by).collect()
    }

    fn open(&self, peer: PublicKey) -> Opening<'_> {
        Box::pin(async move {
            self.net.opened.fetch_add(1, Ordering::Relaxed);
            let node = self.net.nodes.lock().unwrap().get(&peer).cloned();
            let gone = self.net.gone.lock().unwrap().contains(&peer);
            let node = node.filter(|_| !gone).ok_or_else(|| io::Error::other("no route to it"))?;
            let (ours, theirs) = tokio::io::duplex(256 << 10);
            tokio::spawn(async move { node.exchange.serve(theirs).await });
            let left = self.net.fuses.lock().unwrap().get(&peer).copied().unwrap_or(usize::MAX);
            Ok(Box::new(Fused { inner: ours, left }) as Box<dyn Duplex>)
        })
    }
}

/// A stream that breaks after some bytes were read.
struct Fused {
    inner: DuplexStream,
    left: usize,
}

impl AsyncRead for Fused {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let most = self.left.min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let polled = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        let read = part.filled().len();
        buf.advance(read);
        self.left -= read;
        polled
    }
}

impl AsyncWrite for Fused {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
