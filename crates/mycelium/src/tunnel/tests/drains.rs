//! A drain is exact across nodes: no request fails because of one, and after it nobody uses the replica.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use genome::ReplicaState::{Draining, Ready};

use super::super::Site;
use super::machine::{Machine, eventually, mesh};
use super::workload::{Client, Workload, http1};

/// Clients that ask without a pause, of which not one may fail; ends when told, says how many requests there were.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<usize>>,
}

impl Load {
    fn start(edge: std::net::SocketAddr, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |i| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut client = Client::connect(edge).await;
                let mut asked = 0;
                while !stop.load(Ordering::SeqCst) {
                    // Not idempotent: nothing may be saved by trying again.
                    let (status, text) = client.ask("POST", "/", "abc").await;
                    assert_eq!(status, 200, "client {i}: {text}");
                    asked += 1;
                }
                asked
            })
        };
        Self { clients: (0..clients).map(client).collect(), stop }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for client in self.clients {
            assert!(client.await.unwrap() > 0);
        }
    }
}

/// Stops a replica that has drained: what comes after that is late.
async fn stop(replica: Workload) {
    let asked = replica.asked.get();
    eventually("its connections are closed", || replica.open.get() == 0).await;
    assert_eq!(replica.asked.get(), asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_under_load_fail_no_request() {
    let (mesh, [a, b]) = mesh().await;
    let mut blue = http1("r-0").await;
    mesh.says(&b, "r-0", blue.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    let load = Load::start(a.at, 100);
    let names: Vec<String> = (0..=12).map(|round| format!("r-{round}")).collect();
    for pair in names.windows(2) {
        let [old, new] = pair else { unreachable!() };
        let asked = blue.asked.get();
        eventually("it is asked", || blue.asked.get() > asked + 200).await;
        let green = http1("green").await;
        // The agent writes both, and drains at once; the records reach the other node when they do.
        mesh.says(&b, new, green.at, Ready, &[&b]);
        mesh.says(&b, old, blue.at, Draining, &[&b]);
        let drained = b.drained(old);
        mesh.says(&b, new, green.at, Ready, &[&a]);
        tokio::time::timeout(Duration::from_secs(10), drained).await.expect("it drains");
        stop(std::mem::replace(&mut blue, green)).await;
        mesh.says(&b, old, blue.at, Draining, &[&a]);
    }
    load.end().await;
    let stats = a.edge.stats();
    assert_eq!((stats.apps[&super::machine::app()].errors(), a.edge.stats().apps.len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_an_open_request_of_a_peer_and_for_nothing_else() {
    let (mesh, [a, b]) = mesh().await;
    let (blue, green) = (http1("blue").await, http1("green").await);
    mesh.says(&b, "blue", blue.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    let at = a.at;
    let slow = tokio::spawn(async move { Client::connect(at).await.ask("POST", "/slow", "").await });
    eventually("it is asked", || blue.asked.get() == 1).await;
    let load = Load::start(a.at, 100);
    eventually("it has all the load", || blue.asked.get() > 500).await;
    mesh.says(&b, "green", green.at, Ready, &[&a, &b]);
    let mut drained = b.drained("blue");
    eventually("all but one have let go", || blue.open.get() == 1).await;
    eventually("the other has the load", || green.asked.get() > 500).await;
    assert!((&mut drained).now_or_never().is_none(), "a request is open");
    blue.go.notify_one();
    assert_eq!(slow.await.unwrap(), (200, "blue".to_owned()));
    tokio::time::timeout(Duration::from_secs(5), drained).await.expect("nothing is open any more");
    stop(blue).await;
    load.end().await;
}

/// One request that leaves a tunnel in the pool of `a`.
async fn pooled(a: &Machine, replica: &Workload) {
    assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await.0, 200);
    eventually("it is there", || replica.open.get() == 1).await;
}

#[tokio::test]
async fn the_only_one_serves_until_its_peers_know_another() {
    let (mesh, [a, b]) = mesh().await;
    let (blue, green) = (http1("blue").await, http1("green").await);
    mesh.says(&b, "blue", blue.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    pooled(&a, &blue).await;
    let mut drained = b.drained("blue");
    for _ in 0..20 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "blue".to_owned()));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!((&mut drained).now_or_never().is_none());
    mesh.says(&b, "green", green.at, Ready, &[&a, &b]);
    // The pooled tunnel is closed at once, by the news alone: the record still calls it ready.
    drained.await;
    stop(blue).await;
    assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "green".to_owned()));
}

#[tokio::test]
async fn one_that_serves_again_is_used_again() {
    let (mesh, [a, b, c]) = mesh().await;
    let (blue, other) = (http1("blue").await, http1("other").await);
    mesh.says(&b, "blue", blue.at, Ready, &[&a, &b]);
    mesh.says(&c, "other", other.at, Ready, &[&a, &c]);
    a.has_targets(2).await;
    for _ in 0..2 {
        eventually_asks(&a, &blue).await;
        let drained = b.drained("blue");
        a.has_targets(1).await;
        drop(drained);
        b.resumed("blue");
        a.has_targets(2).await;
    }
    // One that missed the message has the record: it is ready since another time.
    eventually_asks(&a, &blue).await;
    drop(b.drained("blue"));
    a.has_targets(1).await;
    mesh.says(&b, "blue", blue.at, Ready, &[&a]);
    a.has_targets(2).await;
    eventually_asks(&a, &blue).await;
}

/// Both are asked in turn: within a few requests it is this one's.
async fn eventually_asks(a: &Machine, replica: &Workload) {
    let before = replica.asked.get();
    let mut client = Client::connect(a.at).await;
    for _ in 0..8 {
        assert_eq!(client.ask("POST", "/", "").await.0, 200);
    }
    assert!(replica.asked.get() > before);
}

#[tokio::test]
async fn what_has_drained_takes_no_tunnel_and_a_request_goes_elsewhere() {
    let (mesh, [a, b, c]) = mesh().await;
    let (blue, other) = (http1("blue").await, http1("other").await);
    mesh.says(&b, "blue", blue.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    // Nobody is connected, so nobody is waited for; `a` knows nothing of it.
    b.drained("blue").await;
    let (status, text) = Client::connect(a.at).await.ask("POST", "/", "").await;
    assert_eq!((status, text.contains("it has drained")), (502, true), "{text}");
    mesh.says(&c, "other", other.at, Ready, &[&a, &c]);
    a.has_targets(2).await;
    for _ in 0..4 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "other".to_owned()));
    }
    assert_eq!(blue.connections.get(), 0);
}

#[tokio::test]
async fn news_of_a_replica_are_its_own_nodes_to_tell() {
    let (mesh, [a, b, c]) = mesh().await;
    let (blue, other) = (http1("blue").await, http1("other").await);
    mesh.says(&b, "blue", blue.at, Ready, &[&a, &b]);
    mesh.says(&c, "other", other.at, Ready, &[&a, &c]);
    a.has_targets(2).await;
    let news = |id: &str| super::super::wire::News::Leaves(id, true).encode().into();
    c.overlay.send(a.overlay.key(), super::super::DRAIN, news(&b.id("blue"))).unwrap();
    c.overlay.send(a.overlay.key(), super::super::DRAIN, bytes::Bytes::from_static(b"garbage")).unwrap();
    // In order: when this one has come, so has the first.
    c.overlay.send(a.overlay.key(), super::super::DRAIN, news(&c.id("other"))).unwrap();
    a.has_targets(1).await;
    for _ in 0..4 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "blue".to_owned()));
    }
    a.site(&b, Site::Nowhere);
    eventually("what leaves is better than nothing", || {
        a.edge.routes().apps().values().copied().collect::<Vec<_>>() == [1]
    })
    .await;
}
