//! Workloads that fail at awkward moments: what can be repeated is, what can't be isn't.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Flag, Raw, app, backend, echo, edge, eventually, nobody, table, target};

/// A backend that closes each connection after having read a request.
async fn dying() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    backend(|mut raw: Raw, _| async move { drop(raw.message().await) }).await
}

#[tokio::test]
async fn a_request_goes_on_to_the_next_endpoint() {
    let (dead, _) = dying().await;
    for first in [nobody(), dead] {
        let (edge, addr) = edge(&[first, echo("b").await]);
        let mut client = Raw::connect(addr).await;
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            for _ in 0..2 {
                let reply = client.ask(&format!("{method} /app/ HTTP/1.1\r\nHost: h\r\n\r\n")).await;
                assert_eq!(reply.status(), 200, "{method}");
            }
        }
        assert!(edge.stats().apps[&app("app")].retries >= 1);
    }
}

#[tokio::test]
async fn a_body_is_sent_again() {
    let (dead, _) = dying().await;
    let (_edge, addr) = edge(&[dead, echo("b").await]);
    let mut client = Raw::connect(addr).await;
    let body = "x".repeat(50_000);
    let reply =
        client.ask(&format!("PUT /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n{body}")).await;
    assert!(reply.echoed().body == body.as_bytes());
}

#[tokio::test]
async fn what_may_not_be_repeated_is_not() {
    let (dead, asked) = dying().await;
    let (_edge, addr) = edge(&[dead, dead, dead]);
    let mut client = Raw::connect(addr).await;
    let reply = client.ask("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").await;
    assert_eq!((reply.status(), asked.load(Ordering::SeqCst)), (502, 1));
    assert!(reply.text().contains("closed the connection before it answered"), "{}", reply.text());
    // Nothing of it was sent to an endpoint at which nobody listens.
    let (_edge, addr) = crate::support::edge(&[nobody(), echo("b").await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..4 {
        let reply = client.ask("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").await;
        assert_eq!(reply.status(), 200);
    }
}

#[tokio::test]
async fn a_pooled_connection_that_was_closed_is_not_an_error() {
    // Each connection serves one request without saying so, then closes when it is idle.
    let script = |mut raw: Raw, _| async move {
        if raw.message().await.is_some() {
            raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    };
    let (workload, _) = backend(script).await;
    let (_edge, addr) = edge(&[workload]);
    let mut client = Raw::connect(addr).await;
    for i in 0..200 {
        let reply = client.get("/app/").await;
        assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"), "{i}");
    }
}

#[tokio::test]
async fn endpoints_that_fail_are_set_aside_and_come_back() {
    let reserved = nobody();
    let (edge, addr) = edge(&[reserved, echo("b").await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..20 {
        assert_eq!(client.get("/app/").await.text().lines().next(), Some("b"));
    }
    let retries = edge.stats().apps[&app("app")].retries;
    assert!(retries <= 3, "asked again and again: {retries}");
    let listener = tokio::net::TcpListener::bind(reserved).await.unwrap();
    let served = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut raw = Raw::new(tcp);
            if raw.message().await.is_some() {
                return;
            }
        }
    });
    while !served.is_finished() {
        let mut client = Raw::connect(addr).await;
        assert_eq!(client.get("/app/").await.status(), 200);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn when_all_are_set_aside_they_are_tried_anyway() {
    let addr_of_workload = nobody();
    let (_edge, addr) = edge(&[addr_of_workload]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        let reply = client.get("/app/").await;
        assert_eq!(reply.status(), 502);
        assert!(reply.text().starts_with("app/test/0 can't be connected to"), "{}", reply.text());
    }
    let listener = std::net::TcpListener::bind(addr_of_workload).unwrap();
    let asked = tokio::task::spawn_blocking(move || drop(listener.accept().unwrap()));
    client.send(b"POST /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    asked.await.unwrap();
}

#[tokio::test]
async fn a_workload_that_answers_nothing_in_time_is_a_504() {
    let (silent, _) = backend(|mut raw: Raw, _| async move { drop(raw.rest().await) }).await;
    let limits = edge::Limits { response: std::time::Duration::from_millis(80), ..Default::default() };
    let (_edge, addr) = crate::support::edge_with(&[silent], limits);
    let reply = Raw::connect(addr).await.get("/app/").await;
    assert_eq!((reply.status(), reply.text().contains("took too long")), (504, true));
}

/// Replicas are killed under load, each with its connections reset in mid-request: no GET may fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_idempotent_request_fails_when_replicas_die() {
    let edge = edge::Edge::new(crate::support::config(2));
    let addr = edge.start(edge::Listen::Bind(crate::support::LOCAL.parse().unwrap())).unwrap();
    let survivor = target("survivor", echo("s").await);
    edge.routes().set(&table(&[("app", std::slice::from_ref(&survivor))]));
    let stop = Flag::default();
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut client = Raw::connect(addr).await;
                let mut n = 0;
                while !stop.is_set() {
                    let reply = client.get("/app/").await;
                    assert_eq!(reply.status(), 200, "{}", reply.text());
                    n += 1;
                }
                n
            })
        })
        .collect();
    for round in 0..20 {
        let victim = Victim::start().await;
        let id = format!("victim-{round}");
        edge.routes().set(&table(&[("app", &[survivor.clone(), target(&id, victim.addr)])]));
        let asked = victim.asked.clone();
        eventually("the victim is asked", || asked.load(Ordering::SeqCst) > 20).await;
        victim.kill();
    }
    stop.set();
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

/// A replica on a runtime of its own, so that it can be killed with everything it has open.
struct Victim {
    addr: std::net::SocketAddr,
    asked: Arc<AtomicUsize>,
    runtime: tokio::runtime::Runtime,
}

impl Victim {
    async fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let started = runtime.spawn(async move {
            let script = move |mut raw: Raw, _| {
                let counted = counted.clone();
                async move {
                    while raw.message().await.is_some() {
                        counted.fetch_add(1, Ordering::SeqCst);
                        raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                    }
                }
            };
            backend(script).await.0
        });
        Self { addr: started.await.unwrap(), asked, runtime }
    }

    fn kill(self) {
        self.runtime.shutdown_background();
    }
}
