//! Peers that were let in and misbehave.

use std::time::Duration;

use hyphae::{Protocol, StartError};
use tokio::time::timeout;

use crate::rogue::Rogue;
use crate::support::{Node, SOON, ask, until};

#[tokio::test]
async fn a_length_beyond_the_bound_ends_the_connection() {
    let gossip = Protocol::messages(|_, _| std::future::ready(()));
    let b = Node::new(2).serve("gossip", gossip).start().await;
    let rogue = Rogue::dial(9, &b, "gossip", true).await;
    let mut stream = rogue.connection.open_uni().await.unwrap();
    stream.write_all(b"\x06gossip\0\0\0\x01x\xff\xff\xff\xff").await.unwrap();
    let (code, reason) = rogue.closed().await;
    assert_eq!((code, reason.as_str()), (3, "a message of 4294967295 bytes on gossip, at most 262144 fit"));
    until("b let go of it", || b.peers().is_empty()).await;
    still_serves(&b).await;
}

#[tokio::test]
async fn a_stream_without_a_name_is_ended() {
    let b = Node::new(2).start().await;
    let rogue = Rogue::dial(9, &b, "echo", true).await;
    for head in [&b"\0"[..], b"\xffechoechoecho", b"\x04\xff\xff\xff\xff", b"\x04ECHO"] {
        let (mut send, mut recv) = rogue.connection.open_bi().await.unwrap();
        send.write_all(head).await.unwrap();
        let error = timeout(SOON, recv.read_to_end(10)).await.unwrap().unwrap_err();
        assert!(error.to_string().contains('3'), "{error}");
    }
    // a second greeting is no message stream
    let mut stream = rogue.connection.open_uni().await.unwrap();
    stream.write_all(&[0; 9]).await.unwrap();
    assert_eq!(rogue.closed().await, (3, "a stream without a protocol".to_owned()));
    still_serves(&b).await;
}

#[tokio::test]
async fn who_does_not_greet_is_not_waited_for() {
    let b = Node::new(2).limit(|limits| limits.dial = Duration::from_millis(300)).start().await;
    let rogue = Rogue::dial(9, &b, "echo", false).await;
    let closed = timeout(SOON, rogue.closed()).await.unwrap();
    assert_eq!(closed, (3, "that was no greeting".to_owned()));
    let rogue = Rogue::dial(9, &b, "echo", false).await;
    let mut hello = rogue.connection.open_uni().await.unwrap();
    hello.write_all(&[b'x'; 100]).await.unwrap();
    let closed = timeout(SOON, rogue.closed()).await.unwrap();
    assert_eq!(closed, (3, "that was no greeting".to_owned()));
    assert!(b.peers().is_empty());
    still_serves(&b).await;
}

#[tokio::test]
async fn more_streams_than_allowed_are_not_opened() {
    let b = Node::new(2).limit(|limits| limits.streams = 8).start().await;
    let rogue = Rogue::dial(9, &b, "echo", true).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        let (mut send, recv) = timeout(SOON, rogue.connection.open_bi()).await.unwrap().unwrap();
        send.write_all(b"\x04echo").await.unwrap();
        open.push((send, recv));
    }
    assert!(timeout(Duration::from_millis(300), rogue.connection.open_bi()).await.is_err());
    until("all are served", || b.peers()[0].streams == 8).await;
    still_serves(&b).await;
}

#[tokio::test]
async fn connections_opened_again_and_again_replace_each_other() {
    let b = Node::new(2).start().await;
    let mut rogues = Vec::new();
    for _ in 0..6 {
        rogues.push(Rogue::dial(9, &b, "echo", true).await);
    }
    until("one is left", || b.peers()[0].connections == 1).await;
    let (last, others) = rogues.split_last().unwrap();
    for rogue in others {
        assert_eq!(rogue.closed().await, (4, "a newer connection took its place".to_owned()));
    }
    assert!(last.connection.close_reason().is_none());
    still_serves(&b).await;
}

#[tokio::test]
async fn packets_that_are_no_quic_are_ignored() {
    let b = Node::new(2).start().await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for size in [0, 1, 20, 1_200, 1_500, 9_000] {
        for first in [0x00, 0x40, 0xc0, 0xff] {
            socket.send_to(&vec![first; size], b.addresses()[0]).unwrap();
        }
    }
    still_serves(&b).await;
}

#[tokio::test]
async fn limits_that_cant_hold_are_refused() {
    let silly = Node::new(2).limit(|limits| limits.dead = limits.keep_alive);
    let error = hyphae::Overlay::start(silly.config()).await.unwrap_err();
    assert!(matches!(error, StartError::Limits(_)), "{error}");
}

/// Somebody decent is served as before.
async fn still_serves(b: &hyphae::Overlay) {
    let a = Node::new(1).start().await;
    a.learn(b.key(), b.addresses()).unwrap();
    assert_eq!(ask(&a, b.key(), "hi").await.unwrap(), "hi");
}
