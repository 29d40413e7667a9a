//! Drain is exact: after it resolves, the endpoint gets nothing any more and owes nobody an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use edge::{Edge, Listen, Target};

use crate::support::{
    Flag, LOCAL, PATIENCE, Raw, app, backend, config, echo, edge, eventually, table, target,
};

/// A replica that notices requests which come after it was declared drained.
struct Replica {
    target: Target,
    drained: Arc<AtomicBool>,
    busy: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    late: Arc<AtomicUsize>,
}

impl Replica {
    async fn start(id: &str) -> Self {
        let (drained, late) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (busy, open, asked): (Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let shared = (drained.clone(), late.clone(), busy.clone(), open.clone(), asked.clone());
        let script = move |mut raw: Raw, _| {
            let (drained, late, busy, open, asked) = shared.clone();
            async move {
                open.fetch_add(1, Ordering::SeqCst);
                while raw.message().await.is_some() {
                    busy.fetch_add(1, Ordering::SeqCst);
                    asked.fetch_add(1, Ordering::SeqCst);
                    if drained.load(Ordering::SeqCst) {
                        late.fetch_add(1, Ordering::SeqCst);
                    }
                    tokio::task::yield_now().await;
                    busy.fetch_sub(1, Ordering::SeqCst);
                    raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
                open.fetch_sub(1, Ordering::SeqCst);
            }
        };
        let (addr, _) = backend(script).await;
        Self { target: target(id, addr), drained, busy, open, asked, late }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_under_load_lose_nothing_and_send_nothing_late() {
    let edge = Edge::new(config(3));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    let mut blue = Replica::start("r-0").await;
    edge.routes().set(&table(&[("app", std::slice::from_ref(&blue.target))]));
    let stop = Flag::default();
    let clients: Vec<_> = (0..24)
        .map(|i| {
            let stop = stop.clone();
            tokio::spawn(async move {
                let mut client = Raw::connect(addr).await;
                while !stop.is_set() {
                    // Not idempotent: nothing may be saved by trying again.
                    let reply =
                        client.ask("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").await;
                    assert_eq!(reply.status(), 200, "client {i}: {}", reply.text());
                }
            })
        })
        .collect();
    for round in 1..=100 {
        let green = Replica::start(&format!("r-{round}")).await;
        let asked = green.asked.clone();
        if round % 2 == 0 {
            // The table loses it first, as it does in an update.
            edge.routes().set(&table(&[("app", std::slice::from_ref(&green.target))]));
            edge.routes().drained(&blue.target.id).await;
        } else {
            edge.routes().set(&table(&[("app", &[blue.target.clone(), green.target.clone()])]));
            edge.routes().drained(&blue.target.id).await;
            edge.routes().set(&table(&[("app", std::slice::from_ref(&green.target))]));
        }
        blue.drained.store(true, Ordering::SeqCst);
        assert_eq!(blue.busy.load(Ordering::SeqCst), 0, "a request was open after the drain");
        let open = blue.open.clone();
        eventually("its connections are closed", || open.load(Ordering::SeqCst) == 0).await;
        assert_eq!(blue.late.load(Ordering::SeqCst), 0, "a request came after the drain");
        eventually("the new one is asked", || asked.load(Ordering::SeqCst) > 10).await;
        blue = green;
    }
    stop.set();
    for client in clients {
        client.await.unwrap();
    }
    let stats = edge.stats();
    let stats = &stats.apps[&app("app")];
    assert_eq!((stats.errors(), stats.retries, stats.open), (0, 0, 0));
    assert_eq!(stats.latency.count(), stats.requests());
}

#[tokio::test]
async fn a_drain_waits_for_an_open_request_and_for_nothing_else() {
    let go = Arc::new(tokio::sync::Notify::new());
    let told = go.clone();
    let script = move |mut raw: Raw, _| {
        let told = told.clone();
        async move {
            while raw.message().await.is_some() {
                raw.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha").await;
                told.notified().await;
                raw.send(b"lf").await;
            }
        }
    };
    let (workload, _) = backend(script).await;
    let (edge, addr) = edge(&[workload]);
    let mut client = Raw::connect(addr).await;
    client.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    client.until(b"ha").await.unwrap();
    let drained = tokio::spawn(edge.routes().drained("app/test/0"));
    let replacement = target("app/test/1", echo("b").await);
    edge.routes().set(&table(&[("app", std::slice::from_ref(&replacement))]));
    let mut other = Raw::connect(addr).await;
    assert_eq!(other.get("/app/").await.text().lines().next(), Some("b"));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!drained.is_finished(), "the response isn't over");
    go.notify_one();
    client.until(b"lf").await.unwrap();
    drained.await.unwrap();
    edge.routes().drained("never heard of").await;
}

#[tokio::test]
async fn an_idle_pooled_connection_is_closed_at_once() {
    let replica = Replica::start("r").await;
    let mut config = config(1);
    config.limits.pool_idle = 10 * PATIENCE;
    let edge = Edge::new(config);
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    edge.routes().set(&table(&[("app", std::slice::from_ref(&replica.target))]));
    Raw::connect(addr).await.get("/app/").await;
    assert_eq!(replica.open.load(Ordering::SeqCst), 1);
    edge.routes().drained("r").await;
    let open = replica.open.clone();
    eventually("it is closed", || open.load(Ordering::SeqCst) == 0).await;
}
