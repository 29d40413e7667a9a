//! Overlays for tests: keys from a number, ports from the system, an echo, and everybody admitted unless said otherwise.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyphae::{Config, Gate, Limits, Overlay, Protocol, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::PublicKey;
use zeroize::Zeroizing;

/// What is told, and not found out by waiting for a limit, takes less than this on the busiest machine.
pub const SOON: Duration = Duration::from_secs(30);

fn patient() -> Limits {
    Limits { dial: 2 * SOON, dead: 2 * SOON, idle: 4 * SOON, ..Limits::default() }
}

/// How a test builds an overlay.
pub struct Node {
    seed: u8,
    listen: Vec<SocketAddr>,
    gate: Arc<dyn Gate>,
    protocols: BTreeMap<String, Protocol>,
    pub limits: Limits,
}

impl Node {
    /// With the key of `seed`, on a free port of loopback, with an `echo`. Nothing is given up before [`SOON`] is over.
    pub fn new(seed: u8) -> Self {
        let protocols = BTreeMap::from([("echo".to_owned(), Protocol::streams(echo))]);
        let gate = Arc::new(|_: &PublicKey, _: &str| Ok(()));
        Self { seed, listen: vec![loopback(0)], gate, protocols, limits: patient() }
    }

    pub fn listen(mut self, listen: &[SocketAddr]) -> Self {
        self.listen = listen.to_vec();
        self
    }

    pub fn gate(mut self, gate: impl Gate) -> Self {
        self.gate = Arc::new(gate);
        self
    }

    pub fn serve(mut self, name: &str, protocol: Protocol) -> Self {
        self.protocols.insert(name.to_owned(), protocol);
        self
    }

    pub fn limit(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    pub fn config(self) -> Config {
        Config {
            key: Zeroizing::new([self.seed; 32]),
            listen: self.listen,
            gate: self.gate,
            protocols: self.protocols,
            limits: self.limits,
        }
    }

    pub async fn start(self) -> Overlay {
        Overlay::start(self.config()).await.unwrap()
    }
}

/// The key of an overlay with this seed.
pub fn key(seed: u8) -> PublicKey {
    PublicKey::from_bytes(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]).verifying_key().as_bytes())
        .unwrap()
}

pub fn loopback(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

/// Both ends know where the other lives.
pub fn introduce(a: &Overlay, b: &Overlay) {
    a.learn(b.key(), b.addresses()).unwrap();
    b.learn(a.key(), a.addresses()).unwrap();
}

pub async fn echo(_: PublicKey, mut stream: Stream) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    stream.shutdown().await.unwrap();
}

/// What comes back for `text`.
pub async fn ask(overlay: &Overlay, peer: PublicKey, text: &str) -> std::io::Result<String> {
    let mut stream = overlay.open(peer, "echo").await.map_err(std::io::Error::other)?;
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Waits until something holds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "it never came: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// How many connections `overlay` has to `peer`.
pub fn connections(overlay: &Overlay, peer: PublicKey) -> usize {
    overlay.peers().iter().find(|p| p.key == peer).map_or(0, |p| p.connections)
}

/// What `overlay` says went wrong with `peer`.
pub fn last_error(overlay: &Overlay, peer: PublicKey) -> String {
    let peers = overlay.peers();
    peers.iter().find(|p| p.key == peer).and_then(|p| p.error.clone()).unwrap_or_default()
}
