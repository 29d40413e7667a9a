//! The gate: strangers are turned away at once, and both sides know why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hyphae::{OpenError, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::PublicKey;

use crate::rogue::Rogue;
use crate::support::{Node, SOON, ask, connections, echo, key, last_error, until};

/// Admits key 1 to everything, everybody else to `join` alone.
fn members_only(peer: &PublicKey, protocol: &str) -> Result<(), String> {
    if *peer == key(1) || protocol == "join" {
        Ok(())
    } else {
        Err("you are no member of this mesh".to_owned())
    }
}

#[tokio::test]
async fn a_stranger_is_refused_at_once_and_told_why() {
    let b = Node::new(2).gate(members_only).start().await;
    let stranger = Node::new(3).start().await;
    stranger.learn(b.key(), b.addresses()).unwrap();
    let began = Instant::now();
    let error = stranger.open(b.key(), "echo").await.unwrap_err();
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    let reason = "you are no member of this mesh".to_owned();
    assert_eq!(error, OpenError::Refused { peer: b.key(), reason });
    assert_eq!(stranger.ping(b.key()).await, Err(error));
    assert!(b.peers().is_empty(), "{:?}", b.peers());

    let member = Node::new(1).start().await;
    member.learn(b.key(), b.addresses()).unwrap();
    assert_eq!(ask(&member, b.key(), "hi").await.unwrap(), "hi");
}

#[tokio::test]
async fn the_gate_is_asked_before_a_stream_is_served() {
    let served = Arc::new(AtomicBool::new(false));
    let note = Arc::clone(&served);
    let serve = Protocol::streams(move |_, _| {
        note.store(true, Ordering::SeqCst);
        async {}
    });
    let b = Node::new(2).gate(members_only).serve("secret", serve).start().await;
    let rogue = Rogue::dial(3, &b, "secret", true).await;
    if let Ok((mut send, _recv)) = rogue.connection.open_bi().await {
        let _ = send.write_all(b"\x06secret").await;
    }
    assert_eq!(rogue.closed().await, (1, "you are no member of this mesh".to_owned()));
    assert!(!served.load(Ordering::SeqCst));
}

#[tokio::test]
async fn a_stranger_may_use_what_is_open_to_strangers_and_nothing_else() {
    let b = Node::new(2).gate(members_only).serve("join", Protocol::streams(echo)).start().await;
    let stranger = Node::new(3).start().await;
    stranger.learn(b.key(), b.addresses()).unwrap();
    let mut join = stranger.open(b.key(), "join").await.unwrap();
    join.write_all(b"let me in").await.unwrap();
    let mut answer = [0; 9];
    join.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"let me in");

    // the same connection does not carry it further
    let error = ask(&stranger, b.key(), "hi").await.unwrap_err();
    assert!(error.to_string().contains("it refused: you are no member of this mesh"), "{error}");
    let error = join.read_u8().await.unwrap_err();
    assert_eq!(error.to_string(), "it refused: you are no member of this mesh");
    until("b let go of it", || b.peers().is_empty()).await;
}

#[tokio::test]
async fn strangers_are_few_and_do_not_stay() {
    let b = Node::new(2).gate(members_only).serve("join", Protocol::streams(echo));
    let bound = |limits: &mut hyphae::Limits| {
        limits.strangers = 2;
        limits.stranger_time = Duration::from_secs(2);
    };
    let b = b.limit(bound).start().await;
    let mut strangers = Vec::new();
    let mut streams = Vec::new();
    for seed in 3..=5 {
        let stranger = Node::new(seed).start().await;
        stranger.learn(b.key(), b.addresses()).unwrap();
        streams.push(stranger.open(b.key(), "join").await);
        strangers.push(stranger);
    }
    let refused = streams.pop().unwrap().unwrap_err();
    assert!(
        matches!(&refused, OpenError::Refused { reason, .. } if reason.contains("too many strangers")),
        "{refused}"
    );
    for stream in streams {
        let mut stream = stream.unwrap();
        let ended = tokio::time::timeout(2 * SOON, stream.read_u8());
        let error = ended.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "it refused: a stranger may not stay longer");
    }
    until("room for the next", || b.peers().is_empty()).await;
    assert!(strangers[2].open(b.key(), "join").await.is_ok());
}

#[tokio::test]
async fn who_is_expelled_while_connected_gets_nothing_more() {
    let expelled = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&expelled);
    let gate = move |_: &PublicKey, _: &str| match asked.load(Ordering::SeqCst) {
        true => Err("you were expelled".to_owned()),
        false => Ok(()),
    };
    let (a, b) = (Node::new(1).start().await, Node::new(2).gate(gate).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    ask(&a, b.key(), "hi").await.unwrap();
    expelled.store(true, Ordering::SeqCst);
    let error = ask(&a, b.key(), "hi").await.unwrap_err();
    assert!(error.to_string().contains("you were expelled"), "{error}");
    let again = a.open(b.key(), "echo").await.unwrap_err();
    assert_eq!(again, OpenError::Refused { peer: b.key(), reason: "you were expelled".into() });
    assert!(last_error(&a, b.key()).contains("you were expelled"));
}

#[tokio::test]
async fn forgetting_a_peer_ends_its_connections() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    a.learn(b.key(), b.addresses()).unwrap();
    let mut stream = a.open(b.key(), "echo").await.unwrap();
    a.forget(&b.key());
    assert_eq!(stream.read_u8().await.unwrap_err().to_string(), "the connection was closed here");
    until("both let go", || connections(&a, b.key()) + connections(&b, a.key()) == 0).await;
    assert_eq!(a.open(b.key(), "echo").await.unwrap_err(), OpenError::NoAddress(b.key()));
}
