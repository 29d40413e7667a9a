//! Reaching peers: pooled connections, dials at once, errors that say why.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use hyphae::{LearnError, OpenError, Overlay, StartError};

use crate::support::{Node, SOON, ask, connections, introduce, key, last_error, until};

#[tokio::test]
async fn two_nodes_talk_both_ways_over_one_connection() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    introduce(&a, &b);
    assert_eq!(ask(&a, b.key(), "from a").await.unwrap(), "from a");
    assert_eq!(ask(&b, a.key(), "from b").await.unwrap(), "from b");
    assert_eq!((connections(&a, b.key()), connections(&b, a.key())), (1, 1));

    let peers = a.peers();
    assert_eq!(peers.len(), 1);
    let peer = &peers[0];
    assert_eq!((peer.key, peer.address), (b.key(), Some(b.addresses()[0])));
    assert!(peer.sent > 1_000 && peer.received > 1_000, "{peer:?}");
    assert!(peer.rtt.is_some_and(|rtt| rtt < SOON) && peer.since.is_some(), "{peer:?}");
    assert_eq!(peer.error, None);
    assert!(a.ping(b.key()).await.unwrap() < SOON);
}

#[tokio::test]
async fn five_nodes_all_reach_each_other() {
    let mut nodes = Vec::new();
    for seed in 1..=5 {
        nodes.push(Node::new(seed).start().await);
    }
    for a in &nodes {
        for b in nodes.iter().filter(|b| b.key() != a.key()) {
            a.learn(b.key(), b.addresses()).unwrap();
        }
    }
    let pairs =
        nodes.iter().flat_map(|a| nodes.iter().map(move |b| (a, b))).filter(|(a, b)| a.key() != b.key());
    let asked = pairs
        .map(|(a, b)| async { ask(a, b.key(), &b.key().to_string()).await.unwrap() == b.key().to_string() });
    assert!(futures_util::future::join_all(asked).await.into_iter().all(|right| right));
    assert!(nodes.iter().all(|node| node.peers().len() == 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opens_at_once_share_one_dial() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let asked = (0..100).map(|n| {
        let (a, b) = (a.clone(), b.key());
        tokio::spawn(async move { ask(&a, b, &n.to_string()).await.unwrap() })
    });
    for (n, answer) in futures_util::future::join_all(asked).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), n.to_string());
    }
    assert_eq!((connections(&a, b.key()), connections(&b, a.key())), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dials_from_both_sides_at_once_end_in_connections_that_work() {
    for round in 0..20 {
        let short = |limits: &mut hyphae::Limits| limits.idle = Duration::from_millis(200);
        let (a, b) = (Node::new(1).limit(short).start().await, Node::new(2).limit(short).start().await);
        introduce(&a, &b);
        let (from_a, from_b) = tokio::join!(ask(&a, b.key(), "a"), ask(&b, a.key(), "b"));
        assert_eq!((from_a.unwrap(), from_b.unwrap()), ("a".into(), "b".into()), "round {round}");
        // both use the same one from now on: the other one is idle and goes, streams go on
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(60) || connections(&a, b.key()) != 1 {
            let (from_a, from_b) = tokio::join!(ask(&a, b.key(), "a"), ask(&b, a.key(), "b"));
            assert_eq!((from_a.unwrap(), from_b.unwrap()), ("a".into(), "b".into()), "round {round}");
            assert!(began.elapsed() < SOON, "both connections are kept in use");
        }
        tokio::join!(a.close(Duration::ZERO), b.close(Duration::ZERO));
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_made_anew_when_needed() {
    let short = |limits: &mut hyphae::Limits| limits.idle = Duration::from_millis(100);
    let (a, b) = (Node::new(1).limit(short).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    ask(&a, b.key(), "once").await.unwrap();
    until("both let go", || connections(&a, b.key()) + connections(&b, a.key()) == 0).await;
    assert_eq!(ask(&a, b.key(), "again").await.unwrap(), "again");

    // an open stream keeps it
    let stream = a.open(b.key(), "echo").await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(connections(&a, b.key()), 1);
    drop(stream);
    until("it lets go again", || connections(&a, b.key()) == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_begins_while_an_idle_connection_is_closed_is_answered() {
    let idle = Duration::from_millis(20);
    let short = |limits: &mut hyphae::Limits| limits.idle = idle;
    let pairs = (0..16_u8).map(|pair| async move {
        let (a, b) = (Node::new(2 * pair).limit(short), Node::new(2 * pair + 1).limit(short));
        let (a, b) = (a.start().await, b.start().await);
        a.learn(b.key(), b.addresses()).unwrap();
        for round in 0..40_u32 {
            // around the moments at which the other end looks whether it is used
            tokio::time::sleep(idle + Duration::from_micros(u64::from(round) * 500)).await;
            assert_eq!(ask(&a, b.key(), "hi").await.unwrap(), "hi", "round {round}");
        }
    });
    futures_util::future::join_all(pairs).await;
}

#[tokio::test]
async fn errors_say_why_a_peer_cant_be_reached() {
    let a = Node::new(1).limit(|limits| limits.dial = Duration::from_millis(300)).start().await;
    let open = async |peer| a.open(peer, "echo").await.unwrap_err();
    assert_eq!(open(key(9)).await, OpenError::NoAddress(key(9)));
    assert_eq!(open(key(1)).await, OpenError::Myself(key(1)));

    // two sockets that take everything and say nothing
    let silent = [UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap()];
    let mut addresses = silent.map(|socket| socket.local_addr().unwrap());
    addresses.sort_unstable();
    a.learn(key(2), &addresses).unwrap();
    let error = open(key(2)).await;
    assert_eq!(error, OpenError::NoAnswer { peer: key(2), addresses: addresses.to_vec() });
    let [first, second] = addresses;
    assert_eq!(error.to_string(), format!("reach {}: no answer from {first}, {second}", key(2)));
    assert_eq!(last_error(&a, key(2)), error.to_string());
    assert_eq!(a.ping(key(2)).await, Err(error));

    assert_eq!(a.open(key(2), "No Name").await.unwrap_err(), OpenError::Name("No Name".into()));
    let many = vec![addresses[0]; 17];
    assert_eq!(a.learn(key(2), &many), Err(LearnError::Addresses { peer: key(2), given: 17, most: 16 }));
}

#[tokio::test]
async fn a_protocol_that_is_not_served_is_named() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let error = a.open(b.key(), "records").await.unwrap_err();
    assert_eq!(error, OpenError::NoProtocol { peer: b.key(), protocol: "records".into() });

    // over a connection that is there already, it shows when the stream is read
    ask(&a, b.key(), "hi").await.unwrap();
    let mut stream = a.open(b.key(), "records").await.unwrap();
    let error = tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap_err();
    assert_eq!(error.to_string(), "the peer does not serve this protocol");
    assert_eq!(ask(&a, b.key(), "still").await.unwrap(), "still");
}

#[tokio::test]
async fn a_dial_that_fails_for_one_protocol_is_no_answer_for_another() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    for _ in 0..5 {
        a.learn(b.key(), b.addresses()).unwrap();
        let (records, echo) = tokio::join!(a.open(b.key(), "records"), ask(&a, b.key(), "hi"));
        assert_eq!(records.unwrap_err(), OpenError::NoProtocol { peer: b.key(), protocol: "records".into() });
        assert_eq!(echo.unwrap(), "hi");
        a.forget(&b.key());
        until("both let go", || connections(&a, b.key()) + connections(&b, a.key()) == 0).await;
    }
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let first = Node::new(1).listen(&[taken]).start().await;
    let error = Overlay::start(Node::new(2).listen(&[taken]).config()).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { address, .. } if address == taken), "{error}");
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
    drop(first);
    let error = Overlay::start(Node::new(2).listen(&[]).config()).await.unwrap_err();
    assert!(matches!(error, StartError::NoAddress), "{error}");
    let bad = Node::new(2).serve("ping", hyphae::Protocol::streams(crate::support::echo));
    assert!(matches!(Overlay::start(bad.config()).await, Err(StartError::Name(name)) if name == "ping"));
}

#[tokio::test]
async fn ipv6_alone_and_both_families_beside_each_other() {
    let six = "[::1]:0".parse().unwrap();
    let a = Node::new(1).listen(&[six]).start().await;
    let b = Node::new(2).listen(&["127.0.0.1:0".parse().unwrap(), six]).start().await;
    let c = Node::new(3).start().await;
    assert!(a.addresses().iter().all(|address| address.is_ipv6()));
    assert_eq!(b.addresses().len(), 2);
    a.learn(b.key(), b.addresses()).unwrap();
    c.learn(b.key(), b.addresses()).unwrap();
    assert_eq!(ask(&a, b.key(), "six").await.unwrap(), "six");
    assert_eq!(ask(&c, b.key(), "four").await.unwrap(), "four");
    assert!(a.peers()[0].address.is_some_and(|address| address.is_ipv6()));
    assert!(c.peers()[0].address.is_some_and(|address| address.is_ipv4()));
}

#[tokio::test]
async fn two_addresses_of_one_family_are_both_served() {
    let both = ["127.0.0.1:0".parse().unwrap(), "127.0.0.2:0".parse().unwrap()];
    let b = Node::new(2).listen(&both).start().await;
    for (seed, address) in [1, 3].into_iter().zip(b.addresses()) {
        let a = Node::new(seed).start().await;
        a.learn(b.key(), &[*address]).unwrap();
        assert_eq!(ask(&a, b.key(), "hi").await.unwrap(), "hi", "{address}");
    }
}
