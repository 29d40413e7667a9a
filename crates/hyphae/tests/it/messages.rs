//! One-way messages and datagrams: order, bounds, back-pressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyphae::{DATAGRAM, MAX_DATAGRAM, MAX_MESSAGE, Protocol, SendError};
use tokio::sync::{Semaphore, mpsc};
use types::PublicKey;

use crate::support::{Node, ask, connections, key, until};

/// Messages into a channel.
fn collect() -> (Protocol, mpsc::UnboundedReceiver<(PublicKey, Bytes)>) {
    let (told, heard) = mpsc::unbounded_channel();
    let receive = move |peer, message| {
        told.send((peer, message)).unwrap();
        std::future::ready(())
    };
    (Protocol::messages(receive), heard)
}

#[tokio::test]
async fn messages_arrive_whole_in_order_and_dial_by_themselves() {
    let (protocol, mut heard) = collect();
    let (a, b) = (Node::new(1).start().await, Node::new(2).serve("gossip", protocol).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    for n in 0..1_000_u32 {
        a.send(b.key(), "gossip", Bytes::copy_from_slice(&n.to_be_bytes())).unwrap();
    }
    for n in 0..1_000_u32 {
        assert_eq!(heard.recv().await.unwrap(), (a.key(), Bytes::copy_from_slice(&n.to_be_bytes())));
    }
    let largest = Bytes::from(vec![7; MAX_MESSAGE]);
    for message in [Bytes::new(), largest.clone(), Bytes::from_static(b"last")] {
        a.send(b.key(), "gossip", message).unwrap();
    }
    for message in [Bytes::new(), largest, Bytes::from_static(b"last")] {
        assert_eq!(heard.recv().await.unwrap().1, message);
    }
    assert_eq!((connections(&a, b.key()), connections(&b, a.key())), (1, 1));
}

#[tokio::test]
async fn what_is_too_large_or_cant_go_is_refused() {
    let a = Node::new(1).start().await;
    let large = Bytes::from(vec![0; MAX_MESSAGE + 1]);
    let error = SendError::TooLarge { peer: key(2), given: MAX_MESSAGE + 1, most: MAX_MESSAGE };
    assert_eq!(a.send(key(2), "gossip", large), Err(error));
    let large = Bytes::from(vec![0; MAX_DATAGRAM + 1]);
    let error = SendError::TooLarge { peer: key(2), given: MAX_DATAGRAM + 1, most: MAX_DATAGRAM };
    assert_eq!(a.send_datagram(key(2), large), Err(error));
    assert_eq!(a.send(key(2), "gossip", Bytes::new()), Err(SendError::NoAddress(key(2))));
    assert_eq!(a.send_datagram(key(2), Bytes::new()), Err(SendError::NoAddress(key(2))));
    assert_eq!(a.send(key(1), "gossip", Bytes::new()), Err(SendError::Myself(key(1))));
    assert_eq!(a.send(key(2), "", Bytes::new()), Err(SendError::Name(String::new())));
}

#[tokio::test]
async fn a_slow_receiver_fills_the_outbox_which_then_refuses() {
    let gate = Arc::new(Semaphore::new(0));
    let received = Arc::new(AtomicUsize::new(0));
    let (opens, count) = (Arc::clone(&gate), Arc::clone(&received));
    let slow = Protocol::messages(move |_, message: Bytes| {
        let (opens, count) = (Arc::clone(&opens), Arc::clone(&count));
        async move {
            opens.acquire().await.unwrap().forget();
            assert_eq!(message[0] as usize, count.fetch_add(1, Ordering::SeqCst) % 256, "in order");
        }
    });
    let b = Node::new(2).serve("gossip", slow).limit(|limits| limits.stream_window = 256 << 10).start().await;
    let a = Node::new(1).limit(|limits| limits.outbox_bytes = 1 << 20).start().await;
    a.learn(b.key(), b.addresses()).unwrap();
    let (mut sent, mut refused) = (0_usize, 0);
    while refused < 500 {
        match a.send(b.key(), "gossip", Bytes::from(vec![(sent % 256) as u8; 64 << 10])) {
            Ok(()) => (sent, refused) = (sent + 1, 0),
            Err(error) => {
                assert_eq!(error, SendError::Full(b.key()));
                refused += 1;
            }
        }
        assert!(sent < 100, "nothing bounds it");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!((16..40).contains(&sent), "{sent}: the outbox, the window and what is read ahead");
    gate.add_permits(1_000);
    until("all that was taken arrives", || received.load(Ordering::SeqCst) == sent).await;
}

#[tokio::test]
async fn messages_for_a_peer_that_is_gone_are_let_go() {
    let (protocol, mut heard) = collect();
    let a = Node::new(1).limit(|limits| limits.dial = Duration::from_millis(200)).start().await;
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    a.learn(key(2), &[silent.local_addr().unwrap()]).unwrap();
    a.send(key(2), "gossip", Bytes::from_static(b"lost")).unwrap();
    until("the dial failed", || a.peers().iter().any(|peer| peer.error.is_some())).await;
    let b = Node::new(2).serve("gossip", protocol).start().await;
    a.learn(b.key(), b.addresses()).unwrap();
    a.send(key(2), "gossip", Bytes::from_static(b"found")).unwrap();
    assert_eq!(heard.recv().await.unwrap().1, "found");
}

#[tokio::test]
async fn messages_go_on_over_a_new_connection() {
    let (protocol, mut heard) = collect();
    let (a, b) = (Node::new(1).start().await, Node::new(2).serve("gossip", protocol).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    a.send(b.key(), "gossip", Bytes::from_static(b"one")).unwrap();
    assert_eq!(heard.recv().await.unwrap().1, "one");
    b.forget(&a.key());
    until("the connection is gone", || connections(&a, b.key()) == 0).await;
    a.send(b.key(), "gossip", Bytes::from_static(b"two")).unwrap();
    assert_eq!(heard.recv().await.unwrap().1, "two");
}

#[tokio::test]
async fn a_receiver_that_panics_loses_that_stream_and_no_more() {
    let (told, heard) = mpsc::unbounded_channel();
    let picky = Protocol::messages(move |_, message: Bytes| {
        let told = told.clone();
        async move {
            assert_ne!(message, "bad", "as the test wants it");
            told.send(message).unwrap();
        }
    });
    let (a, b) = (Node::new(1).start().await, Node::new(2).serve("gossip", picky).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    a.send(b.key(), "gossip", Bytes::from_static(b"bad")).unwrap();
    let heard = std::cell::RefCell::new(heard);
    until("another stream carries the next", || {
        a.send(b.key(), "gossip", Bytes::from_static(b"good")).unwrap();
        heard.borrow_mut().try_recv().is_ok()
    })
    .await;
    assert_eq!(ask(&a, b.key(), "hi").await.unwrap(), "hi");
    assert_eq!(connections(&a, b.key()), 1);
}

#[tokio::test]
async fn datagrams_dial_and_arrive() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let datagrams = Protocol::datagrams(move |peer, datagram| told.send((peer, datagram)).unwrap());
    let (a, b) = (Node::new(1).start().await, Node::new(2).serve(DATAGRAM, datagrams).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let largest = Bytes::from(vec![7; MAX_DATAGRAM]);
    a.send_datagram(b.key(), largest.clone()).unwrap();
    assert_eq!(heard.recv().await.unwrap(), (a.key(), largest.clone()));
    // the largest fits a connection that is there, too
    a.send_datagram(b.key(), largest.clone()).unwrap();
    assert_eq!(heard.recv().await.unwrap(), (a.key(), largest));
    assert_eq!(connections(&a, b.key()), 1);
}

#[tokio::test]
async fn a_datagram_that_the_gate_does_not_admit_is_dropped() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let datagrams = Protocol::datagrams(move |_, datagram: Bytes| told.send(datagram).unwrap());
    let gate = |_: &PublicKey, protocol: &str| match protocol {
        DATAGRAM => Err("no".to_owned()),
        _ => Ok(()),
    };
    let (a, b) =
        (Node::new(1).start().await, Node::new(2).serve(DATAGRAM, datagrams).gate(gate).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    ask(&a, b.key(), "hi").await.unwrap();
    a.send_datagram(b.key(), Bytes::from_static(b"x")).unwrap();
    for _ in 0..5 {
        a.ping(b.key()).await.unwrap();
    }
    assert!(heard.try_recv().is_err());
    assert_eq!(connections(&a, b.key()), 1);
}
