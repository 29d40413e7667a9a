//! Endpoints behind a tunnel: what holds for a socket holds for a connection that somebody else opens.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use edge::{Duplex, Edge, Listen, Opening, Protocol, Reach, Target, Tunnel};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::http2;
use crate::support::{LOCAL, Raw, backend, config, echo, eventually, table};

/// A far end that passes bytes on to a backend over a pipe in memory, or refuses to.
#[derive(Debug)]
struct Far {
    backend: Result<SocketAddr, &'static str>,
    opened: AtomicUsize,
    ended: Arc<AtomicUsize>,
}

impl Far {
    fn new(backend: Result<SocketAddr, &'static str>) -> Arc<Self> {
        Arc::new(Self { backend, opened: AtomicUsize::default(), ended: Arc::default() })
    }

    fn to(backend: SocketAddr) -> Arc<Self> {
        Self::new(Ok(backend))
    }

    fn refusing(reason: &'static str) -> Arc<Self> {
        Self::new(Err(reason))
    }
}

impl Tunnel for Far {
    fn name(&self) -> String {
        "far away".to_owned()
    }

    fn open(&self) -> Opening {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let (backend, ended) = (self.backend, Arc::clone(&self.ended));
        Box::pin(async move {
            let tcp = TcpStream::connect(backend.map_err(io::Error::other)?).await?;
            let (near, far) = tokio::io::duplex(16 * 1024);
            tokio::spawn(async move {
                let (mut from_backend, mut to_backend) = tcp.into_split();
                let (mut from_edge, mut to_edge) = tokio::io::split(far);
                tokio::select! {
                    _ = tokio::io::copy(&mut from_backend, &mut to_edge) => {}
                    _ = tokio::io::copy(&mut from_edge, &mut to_backend) => {}
                }
                // It says that it has ended, and goes on taking what nobody will answer.
                let _ = to_edge.shutdown().await;
                ended.fetch_add(1, Ordering::SeqCst);
                tokio::io::copy(&mut from_edge, &mut tokio::io::sink()).await
            });
            Ok(Box::new(near) as Box<dyn Duplex>)
        })
    }
}

fn behind(tunnels: &[&Arc<Far>]) -> (Edge, SocketAddr) {
    let edge = Edge::new(config(1));
    let target = |(i, tunnel): (usize, &&Arc<Far>)| Target {
        id: format!("app/far/{i}"),
        reach: Reach::Tunnel(Arc::clone(tunnel) as Arc<dyn Tunnel>),
        protocol: Protocol::Http1,
        far: true,
    };
    let targets: Vec<Target> = tunnels.iter().enumerate().map(target).collect();
    edge.routes().set(&table(&[("app", &targets)]));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr)
}

const POST: &str = "POST /app/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx";

#[tokio::test]
async fn one_connection_carries_many_requests_and_their_bodies() {
    let far = Far::to(echo("a").await);
    let (_edge, addr) = behind(&[&far]);
    let mut client = Raw::connect(addr).await;
    for path in ["/app/one", "/app/two?x=1"] {
        let reply = client.get(path).await.echoed();
        assert!(reply.head.starts_with(&format!("GET {} HTTP/1.1\r\n", &path[4..])), "{}", reply.head);
    }
    let body = "x".repeat(300_000);
    let reply =
        client.ask(&format!("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n{body}")).await;
    assert!(reply.echoed().body == body.as_bytes());
    assert_eq!(far.opened.load(Ordering::SeqCst), 1);
    let mut over_2 = http2::http2(addr).await;
    assert_eq!(http2::get(&mut over_2, addr, "/app/").await.0, 200);
}

#[tokio::test]
async fn one_that_can_not_be_opened_got_nothing_so_any_request_goes_elsewhere() {
    let (refusing, far) = (Far::refusing("it is leaving"), Far::to(echo("b").await));
    let (_edge, addr) = behind(&[&refusing, &far]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..4 {
        assert_eq!(client.ask(POST).await.status(), 200);
    }
    let (_edge, addr) = behind(&[&refusing]);
    let reply = Raw::connect(addr).await.ask(POST).await;
    assert_eq!(reply.status(), 502);
    assert!(reply.text().contains("app/far/0 can't be connected to: it is leaving"), "{}", reply.text());
}

#[tokio::test]
async fn a_pooled_one_that_has_ended_is_not_an_error() {
    let script = |mut raw: Raw, _| async move {
        if raw.message().await.is_some() {
            raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    };
    let far = Far::to(backend(script).await.0);
    let (_edge, addr) = behind(&[&far]);
    let mut client = Raw::connect(addr).await;
    for n in 1..=5 {
        assert_eq!(client.ask(POST).await.status(), 200);
        eventually("it has ended", || far.ended.load(Ordering::SeqCst) == n).await;
    }
}

#[tokio::test]
async fn one_that_was_set_aside_comes_back() {
    let flaky = Far::refusing("not yet");
    let (edge, addr) = behind(&[&flaky]);
    assert_eq!(Raw::connect(addr).await.get("/app/").await.status(), 502);
    let before = flaky.opened.load(Ordering::SeqCst);
    eventually("it is probed", || flaky.opened.load(Ordering::SeqCst) > before).await;
    drop(edge);
}

#[tokio::test]
async fn a_drained_one_is_not_opened_any_more() {
    let far = Far::to(echo("a").await);
    let (edge, addr) = behind(&[&far]);
    let mut client = Raw::connect(addr).await;
    assert_eq!(client.get("/app/").await.status(), 200);
    edge.routes().set(&table(&[("app", &[])]));
    edge.routes().drained("app/far/0").await;
    assert_eq!(client.get("/app/").await.status(), 503);
    assert_eq!(far.opened.load(Ordering::SeqCst), 1);
}
