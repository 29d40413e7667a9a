//! The end: nothing is left, and what was under way may finish.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyphae::{OpenError, Protocol, SendError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::outside::udp_ports;
use crate::support::{Node, SOON, ask, connections, introduce, key, until};

/// Tasks counted on a runtime of their own: nothing but the overlays runs there.
#[test]
fn closing_leaves_no_task_and_no_socket() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (a, b) = runtime.block_on(async { (Node::new(1).start().await, Node::new(2).start().await) });
    let ports = [a.addresses()[0].port(), b.addresses()[0].port()];
    assert!(ports.iter().all(|port| udp_ports().contains(port)));
    let mut held = runtime.block_on(async {
        introduce(&a, &b);
        ask(&a, b.key(), "hi").await.unwrap();
        let _ = a.send(b.key(), "nobody-reads", Bytes::from_static(b"x"));
        a.open(b.key(), "echo").await.unwrap()
    });
    assert!(runtime.metrics().num_alive_tasks() > 2);
    let began = Instant::now();
    runtime.block_on(async { tokio::join!(a.close(Duration::ZERO), b.close(Duration::ZERO)) });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(runtime.block_on(held.read_u8()).is_err());
    drop(held);
    let end = Instant::now() + SOON;
    while runtime.metrics().num_alive_tasks() > 0 || ports.iter().any(|port| udp_ports().contains(port)) {
        assert!(
            Instant::now() < end,
            "{} tasks, ports {:?}",
            runtime.metrics().num_alive_tasks(),
            udp_ports()
        );
        std::thread::yield_now();
    }
    // with both handles still held
    let error = runtime.block_on(a.open(key(2), "echo")).unwrap_err();
    assert_eq!(error, OpenError::Closed(key(2)));
    assert_eq!(a.send(key(2), "x", Bytes::new()), Err(SendError::Closed(key(2))));
    assert_eq!(a.send_datagram(key(2), Bytes::new()), Err(SendError::Closed(key(2))));
    assert_eq!(runtime.block_on(a.ping(key(2))), Err(OpenError::Closed(key(2))));
    runtime.block_on(a.close(Duration::ZERO));
}

#[test]
fn dropping_the_last_handle_leaves_nothing_either() {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (a, b) = runtime.block_on(async { (Node::new(1).start().await, Node::new(2).start().await) });
    let port = a.addresses()[0].port();
    runtime.block_on(async {
        introduce(&a, &b);
        ask(&a, b.key(), "hi").await.unwrap();
    });
    drop((a, b));
    let end = Instant::now() + SOON;
    while runtime.metrics().num_alive_tasks() > 0 || udp_ports().contains(&port) {
        assert!(
            Instant::now() < end,
            "{} tasks, ports {:?}",
            runtime.metrics().num_alive_tasks(),
            udp_ports()
        );
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn peers_are_told() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let mut stream = a.open(b.key(), "echo").await.unwrap();
    stream.write_all(b"x").await.unwrap();
    stream.read_u8().await.unwrap();
    b.close(Duration::ZERO).await;
    assert_eq!(stream.read_u8().await.unwrap_err().to_string(), "it closed the connection: it closes");
    until("a let go", || connections(&a, b.key()) == 0).await;
}

#[tokio::test]
async fn what_is_under_way_is_given_time() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let gossip = Protocol::messages(move |_, message: Bytes| {
        told.send(message).unwrap();
        std::future::ready(())
    });
    let go = Arc::new(tokio::sync::Notify::new());
    let wait = Arc::clone(&go);
    let slow = Protocol::streams(move |_, mut stream| {
        let wait = Arc::clone(&wait);
        async move {
            stream.write_all(b"first ").await.unwrap();
            wait.notified().await;
            stream.write_all(b"second").await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let a = Node::new(1).serve("gossip", gossip).start().await;
    let b = Node::new(2).serve("slow", slow).start().await;
    introduce(&a, &b);
    let mut stream = a.open(b.key(), "slow").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    for n in 0..500_u16 {
        b.send(a.key(), "gossip", Bytes::copy_from_slice(&n.to_be_bytes())).unwrap();
    }
    let closing = tokio::spawn({
        let b = b.clone();
        async move { b.close(SOON).await }
    });
    until("b takes nothing new", || b.send(a.key(), "gossip", Bytes::new()).is_err()).await;
    assert!(!closing.is_finished());
    go.notify_one();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "second");
    closing.await.unwrap();
    for n in 0..500_u16 {
        assert_eq!(heard.recv().await.unwrap(), Bytes::copy_from_slice(&n.to_be_bytes()));
    }
}
