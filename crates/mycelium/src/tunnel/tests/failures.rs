//! Nodes and replicas that go away: what may be repeated is, elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use genome::ReplicaState::Ready;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Site, wire};
use super::machine::{eventually, mesh};
use super::refusals::knock;
use super::workload::{Client, http1};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_fails_no_request_that_may_be_repeated() {
    let (mesh, [a, b, c]) = mesh().await;
    let (on_b, on_c) = (http1("b").await, http1("c").await);
    mesh.says(&b, "r", on_b.at, Ready, &[&a, &b]);
    mesh.says(&c, "r", on_c.at, Ready, &[&a, &c]);
    a.has_targets(2).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..30)
        .map(|_| {
            let (stop, at) = (Arc::clone(&stop), a.at);
            tokio::spawn(async move {
                let mut client = Client::connect(at).await;
                while !stop.load(Ordering::SeqCst) {
                    let (status, text) = client.ask("GET", "/", "").await;
                    assert_eq!(status, 200, "{text}");
                }
            })
        })
        .collect();
    eventually("both are asked", || on_b.asked.get() > 100 && on_c.asked.get() > 100).await;
    b.overlay.close(Duration::ZERO).await;
    let asked = on_c.asked.get();
    eventually("the other goes on", || on_c.asked.get() > asked + 500).await;
    a.site(&b, Site::Nowhere);
    a.has_targets(1).await;
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn a_node_that_dies_in_the_middle_is_one_error_and_no_more() {
    let (mesh, [a, b, c]) = mesh().await;
    let (on_b, on_c) = (http1("b").await, http1("c").await);
    mesh.says(&b, "r", on_b.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    let ask = |method: &'static str| {
        let at = a.at;
        tokio::spawn(async move { Client::connect(at).await.ask(method, "/slow", "").await })
    };
    let (post, get) = (ask("POST"), ask("GET"));
    eventually("both wait", || on_b.asked.get() == 2).await;
    mesh.says(&c, "r", on_c.at, Ready, &[&a, &c]);
    a.has_targets(2).await;
    on_c.go.notify_one();
    b.overlay.close(Duration::ZERO).await;
    let (status, text) = post.await.unwrap();
    assert_eq!((status, text.contains("broke the connection")), (502, true), "{text}");
    assert_eq!(get.await.unwrap(), (200, "c".to_owned()));
    assert_eq!(on_c.asked.get(), 1, "what may not be repeated is not");
}

#[tokio::test]
async fn a_replica_that_breaks_off_is_not_taken_for_one_that_ended() {
    let (mesh, [a, b]) = mesh().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    mesh.says(&b, "r", listener.local_addr().unwrap(), Ready, &[&b]);
    for breaks in [true, false] {
        let (_, mut stream) = knock(&a, &b, &wire::head(&b.id("r")).unwrap()).await;
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"half").await.unwrap();
        let mut half = [0; 4];
        stream.read_exact(&mut half).await.unwrap();
        if breaks {
            tcp.set_zero_linger().unwrap();
        }
        drop(tcp);
        assert_eq!(stream.read(&mut half).await.is_err(), breaks);
    }
}

#[tokio::test]
async fn what_a_replica_says_before_it_takes_no_more_arrives() {
    let (mesh, [a, b]) = mesh().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    mesh.says(&b, "r", listener.local_addr().unwrap(), Ready, &[&b]);
    for _ in 0..10 {
        let (_, mut stream) = knock(&a, &b, &wire::head(&b.id("r")).unwrap()).await;
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"too large").await.unwrap();
        tcp.set_zero_linger().unwrap();
        drop(tcp);
        // Whoever reads may be busy for a moment.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut said = [0; 9];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"too large");
    }
}
