//! Updates of real processes, and the end of an agent.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use genome::ReplicaState::{Draining, Ready};
use telemetry::EventKind;

use crate::rig::Rig;

/// Requests from `threads` threads until it is told to end; how many there were, and what failed.
struct Load {
    end: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    threads: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn on(rig: &Rig, name: &'static str, threads: usize) -> Self {
        let (end, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..threads).map(|thread| {
            let (requests, end, sent) = (Arc::clone(&rig.requests), Arc::clone(&end), Arc::clone(&sent));
            std::thread::spawn(move || {
                let mut failed = Vec::new();
                let mut turn = thread;
                while !end.load(Ordering::Relaxed) {
                    turn += 1;
                    sent.fetch_add(1, Ordering::Relaxed);
                    failed.extend(requests.get(name, "/hello", turn).err());
                }
                failed
            })
        });
        Self { threads: threads.collect(), end, sent }
    }

    /// Ends it; the number of requests.
    fn without_failure(self) -> usize {
        self.end.store(true, Ordering::Relaxed);
        let failed: Vec<String> =
            self.threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert_eq!(failed, Vec::<String>::new());
        self.sent.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_releases_follow_each_other() {
    let rig = Rig::new(2).await;
    let first = rig.service("billing", "v1");
    rig.plan("billing", &first, 2);
    rig.serves("billing", &first, 2).await;
    let load = Load::on(&rig, "billing", 2);
    for version in ["v2", "v3", "v4"] {
        let release = rig.service("billing", version);
        rig.plan("billing", &release, 2);
        rig.serves("billing", &release, 2).await;
    }
    let sent = load.without_failure();
    assert!(sent > 20, "{sent} requests prove nothing");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_ends_the_old_instance_after_its_warm_up_on_each_node() {
    let rig = Rig::new(2).await;
    let (first, second) = (rig.service("billing", "v1"), rig.service("billing", "v2"));
    let warmup = |plan: &mut genome::Plan| plan.warmup_ms = 1_000;
    rig.plan_as("billing", &first, 2, warmup);
    rig.serves("billing", &first, 2).await;
    rig.plan_as("billing", &second, 2, warmup);
    let ready = |view: &fabric::View| {
        let ready = view.endpoints().filter(|endpoint| endpoint.is_ready() && endpoint.version == "v2");
        (ready.count() == 2).then_some(())
    };
    rig.until("the new ones", ready).await;
    let switched = Instant::now();
    rig.serves("billing", &second, 2).await;
    let took = switched.elapsed();
    assert!(took >= Duration::from_millis(900), "blue left before its warm-up was over: {took:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_never_becomes_ready_is_rolled_back_and_nobody_notices() {
    let rig = Rig::new(1).await;
    let first = rig.service("billing", "v1");
    rig.plan("billing", &first, 1);
    let blue = rig.serves("billing", &first, 1).await.remove(0);
    let load = Load::on(&rig, "billing", 1);
    let second = rig.publish("billing", "v2", |document| {
        document["env"]["HEALTH"] = "503".into();
        document["health"] = serde_json::json!({ "path": "/health", "timeout_ms": 300 });
    });
    rig.plan("billing", &second, 1);
    let observed = rig.until("an observation", |view| view.observed.values().next().cloned()).await;
    let reason = &observed.failed.as_ref().unwrap().reason;
    assert_eq!(reason, "not ready within 300 ms: GET /health: status 503");
    let still = rig.serves("billing", &first, 1).await.remove(0);
    assert_eq!(still.pid, blue.pid);
    assert_eq!(rig.count(EventKind::RolledBack), 1);
    load.without_failure();
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_request_holds_the_old_instance_and_is_answered() {
    let rig = Rig::new(1).await;
    let (mut first, second) = (rig.service("billing", "v1"), rig.service("billing", "v2"));
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let path = format!("/slow/{port}");
    first.reach = vec![format!("tcp:{port}").parse().unwrap()];
    rig.plan("billing", &first, 1);
    rig.serves("billing", &first, 1).await;
    let requests = Arc::clone(&rig.requests);
    let slow = std::thread::spawn(move || requests.get("billing", &path, 0));
    let (held, _) = holder.accept().unwrap();
    rig.plan("billing", &second, 1);
    let count =
        |view: &fabric::View, state| view.endpoints().filter(|endpoint| endpoint.state == state).count();
    rig.until("the switch", |view| (count(view, Ready) == 1 && count(view, Draining) == 1).then_some(()))
        .await;
    assert!(rig.requests.get("billing", "/hello", 0).unwrap().starts_with("v2"));
    drop(held);
    assert!(slow.join().unwrap().unwrap().starts_with("v1"));
    rig.serves("billing", &second, 1).await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_port_is_handed_on() {
    let rig = Rig::new(1).await;
    let port = agent::Ports::new().take(&mut || getrandom::u32().unwrap()).unwrap();
    let (mut first, mut second) = (rig.service("billing", "v1"), rig.service("billing", "v2"));
    (first.port, second.port) = (port, port);
    rig.plan("billing", &first, 1);
    let endpoint = rig.serves("billing", &first, 1).await.remove(0);
    assert_eq!(endpoint.url, format!("http://127.0.0.1:{port}"));
    rig.plan("billing", &second, 1);
    let endpoint = rig.serves("billing", &second, 1).await.remove(0);
    assert_eq!(endpoint.url, format!("http://127.0.0.1:{port}"));
    rig.stop().await;
}
