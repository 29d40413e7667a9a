//! What the tests share: edges, scripted backends, a raw client.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edge::{Balance, Config, Edge, Limits, Listen, Protocol, Table, Target};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use types::AppName;

pub const LOCAL: &str = "127.0.0.1:0";
/// What should come comes within this time on the busiest machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

pub fn target(id: &str, addr: SocketAddr) -> Target {
    Target { id: id.to_owned(), reach: addr.into(), protocol: Protocol::Http1, far: false }
}

pub fn table(apps: &[(&str, &[Target])]) -> Table {
    let apps = apps.iter().map(|(name, targets)| (app(name), targets.to_vec())).collect::<BTreeMap<_, _>>();
    Table { apps, balance: Balance::RoundRobin, ..Table::default() }
}

pub fn config(workers: usize) -> Config {
    Config { workers, ..Config::default() }
}

/// An edge with one worker that serves the app `app` from the given backends.
pub fn edge(backends: &[SocketAddr]) -> (Edge, SocketAddr) {
    edge_with(backends, Limits::default())
}

pub fn edge_with(backends: &[SocketAddr], limits: Limits) -> (Edge, SocketAddr) {
    let mut config = config(1);
    config.limits = limits;
    let edge = Edge::new(config);
    let targets: Vec<_> =
        backends.iter().enumerate().map(|(i, a)| target(&format!("app/test/{i}"), *a)).collect();
    edge.routes().set(&table(&[("app", &targets)]));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr)
}

/// A backend whose every connection is handled by `script`, with the number of the connection from 0.
pub async fn backend<F, R>(script: F) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Fn(Raw, usize) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(LOCAL).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = connections.clone();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let n = counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(script(Raw::new(tcp), n));
        }
    });
    (addr, connections)
}

/// A backend that answers each request with 200, its own name, and what it got.
pub async fn echo(name: &'static str) -> SocketAddr {
    let script = move |mut raw: Raw, _| async move {
        while let Some(request) = raw.message().await {
            let body = format!("{name}\n{}\n{}", request.head, String::from_utf8_lossy(&request.body));
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let body = if request.head.starts_with("HEAD ") { "" } else { &body };
            raw.send(&[head.as_bytes(), body.as_bytes()].concat()).await;
        }
    };
    backend(script).await.0
}

/// A backend that gives each request on each connection the same bytes.
pub async fn canned(reply: impl Into<Vec<u8>>) -> SocketAddr {
    let reply: Arc<Vec<u8>> = Arc::new(reply.into());
    let script = move |mut raw: Raw, _| {
        let reply = reply.clone();
        async move {
            while raw.message().await.is_some() {
                raw.send(&reply).await;
            }
        }
    };
    backend(script).await.0
}

/// An address at which nobody listens.
pub fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind(LOCAL).unwrap();
    listener.local_addr().unwrap()
}

/// A message as it came: the head's text, and the body with its chunks taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub head: String,
    pub body: Vec<u8>,
    pub trailers: String,
}

impl Message {
    pub fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    pub fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut matching = fields.filter(|(n, _)| n.eq_ignore_ascii_case(name));
        matching.next().map(|(_, value)| value.trim())
    }

    /// The request that [`echo`] got.
    pub fn echoed(&self) -> Self {
        let text = self.text();
        assert_eq!(self.status(), 200, "{}{text}", self.head);
        let (_, request) = text.split_once('\n').unwrap();
        let (head, body) = request.split_once("\r\n\r\n\n").unwrap();
        Self { head: format!("{head}\r\n"), body: body.into(), trailers: String::new() }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection that sends what it is told to, and reads messages.
pub struct Raw<S = TcpStream> {
    pub stream: S,
    pub buffer: Vec<u8>,
    to_head: bool,
}

impl Raw {
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::new(TcpStream::connect(addr).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), to_head: false }
    }

    /// Sends; that the other side is gone shows when reading.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// One request and its response.
    pub async fn ask(&mut self, request: &str) -> Message {
        self.to_head = request.starts_with("HEAD ");
        self.send(request.as_bytes()).await;
        self.message().await.expect("a response")
    }

    pub async fn get(&mut self, path: &str) -> Message {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n")).await
    }

    /// Reads more; `false` at the end, or when nothing came for [`PATIENCE`].
    pub async fn more(&mut self) -> bool {
        let read = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(Ok(n)) if n > 0)
    }

    /// Reads up to and with `end`.
    pub async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|w| w == end) {
                return Some(self.buffer.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, n: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < n {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..n).collect())
    }

    /// Reads what is left, to the end of the connection.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// Reads one message; `None` when the connection ends before it does.
    pub async fn message(&mut self) -> Option<Message> {
        let head = String::from_utf8(self.until(b"\r\n\r\n").await?).unwrap();
        let mut message = Message { head, body: Vec::new(), trailers: String::new() };
        let is_response = message.head.starts_with("HTTP/");
        let bodiless =
            is_response && (self.to_head || [204, 304].contains(&message.status()) || message.status() < 200);
        if bodiless {
            return Some(message);
        }
        if let Some(length) = message.field("content-length") {
            message.body = self.exactly(length.parse().unwrap()).await?;
        } else if message.field("transfer-encoding").is_some() {
            loop {
                let size = self.until(b"\r\n").await?;
                let size = String::from_utf8(size).unwrap();
                let size = usize::from_str_radix(size.trim().split(';').next().unwrap(), 16).unwrap();
                if size == 0 {
                    break;
                }
                message.body.extend(self.exactly(size).await?);
                assert_eq!(self.exactly(2).await?, b"\r\n");
            }
            loop {
                let line = self.until(b"\r\n").await?;
                if line == b"\r\n" {
                    break;
                }
                message.trailers.push_str(std::str::from_utf8(&line).unwrap());
            }
        } else if is_response {
            message.body = self.rest().await;
        }
        Some(message)
    }
}

/// Waits until `holds`, for [`PATIENCE`] at most, looking at each turn of the runtime.
pub async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !holds() {
        assert!(tokio::time::Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Tells many tasks to end.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    pub fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
