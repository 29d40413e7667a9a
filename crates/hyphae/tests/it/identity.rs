//! Keys are proven: by whoever answers, by whoever dials, and each time anew.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hyphae::OpenError;
use tokio::time::timeout;
use types::PublicKey;

use crate::rogue::{self, Rogue, certified, client, client_counting, quic};
use crate::support::{Node, SOON, ask, key, loopback};

#[tokio::test]
async fn an_address_where_somebody_else_answers_is_passed_over_and_named() {
    let (a, other) = (Node::new(1).start().await, Node::new(3).start().await);
    let at = other.addresses()[0];
    a.learn(key(2), &[at]).unwrap();
    let began = Instant::now();
    let error = a.open(key(2), "echo").await.unwrap_err();
    let reason = format!("{at} answers as {}", key(3));
    assert_eq!(error, OpenError::Lost { peer: key(2), reason });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    assert!(other.peers().is_empty(), "{:?}", other.peers());

    // beside it the right one, wherever it stands in the book
    for _ in 0..4 {
        let b = Node::new(2).start().await;
        a.learn(key(2), &[at, b.addresses()[0]]).unwrap();
        assert_eq!(ask(&a, key(2), "found").await.unwrap(), "found");
        assert_eq!(a.peers()[0].address, Some(b.addresses()[0]));
        b.close(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn all_that_went_wrong_is_told() {
    let a = Node::new(1).limit(|limits| limits.dial = Duration::from_millis(500)).start().await;
    let other = Node::new(3).start().await;
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (at, nobody) = (other.addresses()[0], silent.local_addr().unwrap());
    let six = "[::1]:9".parse().unwrap();
    a.learn(key(2), &[at, nobody, six]).unwrap();
    let error = a.open(key(2), "echo").await.unwrap_err().to_string();
    for part in [
        format!("{at} answers as {}", key(3)),
        format!("no answer from {nobody}"),
        "[::1]:9: this node listens on no IPv6 address".to_owned(),
    ] {
        assert!(error.contains(&part), "{error}");
    }
}

#[tokio::test]
async fn silent_addresses_do_not_delay_the_one_that_answers() {
    let (a, b) = (Node::new(1).start().await, Node::new(2).start().await);
    let silent: Vec<_> = (0..7).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let mut addresses: Vec<_> = silent.iter().map(|socket| socket.local_addr().unwrap()).collect();
    addresses.push(b.addresses()[0]);
    a.learn(b.key(), &addresses).unwrap();
    let began = Instant::now();
    assert_eq!(ask(&a, b.key(), "found").await.unwrap(), "found");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[tokio::test]
async fn who_answers_with_a_key_that_it_does_not_have_is_not_believed() {
    let a = Node::new(1).start().await;
    for (signs, believed) in [(9, false), (2, true)] {
        let (answers, at) = rogue::server(2, signs);
        let answered = tokio::spawn(async move {
            let connection = answers.accept().await.unwrap().await.ok()?;
            connection.close(7_u32.into(), b"enough");
            connection.closed().await;
            Some(())
        });
        a.learn(key(2), &[at]).unwrap();
        let error = a.open(key(2), "echo").await.unwrap_err().to_string();
        assert_eq!(error.contains(&at.to_string()), !believed, "{error}");
        assert_eq!(error.contains("it closed the connection: enough"), believed, "{error}");
        assert_eq!(answered.await.unwrap().is_some(), believed);
    }
}

#[tokio::test]
async fn who_dials_with_a_key_that_it_does_not_have_never_meets_the_gate() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&asked);
    let gate = move |peer: &PublicKey, _: &str| {
        note.lock().unwrap().push(*peer);
        Ok(())
    };
    let b = Node::new(2).gate(gate).start().await;
    let endpoint = rogue::endpoint();
    let dial = |config| endpoint.connect_with(quic(config), b.addresses()[0], "x.invalid").unwrap();
    let mut anonymous = client(certified(1, 9), "echo");
    anonymous.client_auth_cert_resolver = Arc::new(NoKey);
    for config in [client(certified(1, 9), "echo"), anonymous] {
        // the one who dials has done its part before the other one looks at it
        let Ok(connection) = dial(config).await else { continue };
        let error = timeout(SOON, connection.closed()).await.unwrap();
        assert!(matches!(&error, quinn::ConnectionError::ConnectionClosed(_)), "{error}");
    }
    assert_eq!(*asked.lock().unwrap(), []);
    Rogue::dial(9, &b, "echo", true).await;
    assert!(asked.lock().unwrap().iter().all(|peer| *peer == key(9)));
}

/// A peer without any key.
#[derive(Debug)]
struct NoKey;

impl rustls::client::ResolvesClientCert for NoKey {
    fn resolve(&self, _: &[&[u8]], _: &[rustls::SignatureScheme]) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn no_session_is_resumed() {
    let b = Node::new(2).start().await;
    let proofs = Arc::new(AtomicUsize::new(0));
    let config = quic(client_counting(certified(1, 1), "ping", Arc::clone(&proofs)));
    let endpoint = rogue::endpoint();
    for round in 1..=3 {
        let connecting = endpoint.connect_with(config.clone(), b.addresses()[0], "x.invalid").unwrap();
        let connection = match connecting.into_0rtt() {
            Ok(_) => panic!("data before the handshake, round {round}"),
            Err(connecting) => connecting.await.unwrap(),
        };
        // tickets come behind the handshake; so does the greeting
        let mut hello = connection.open_uni().await.unwrap();
        hello.write_all(&[0; 9]).await.unwrap();
        hello.finish().unwrap();
        connection.accept_uni().await.unwrap().read_to_end(9).await.unwrap();
        assert_eq!(proofs.load(Ordering::SeqCst), round);
    }
}

#[tokio::test]
async fn a_peer_whose_address_changes_under_it_is_followed() {
    let b = Node::new(2).start().await;
    let rogue = Rogue::dial(9, &b, "echo", true).await;
    let (mut send, mut recv) = rogue.connection.open_bi().await.unwrap();
    send.write_all(b"\x04echoone").await.unwrap();
    let mut answer = [0; 3];
    recv.read_exact(&mut answer).await.unwrap();
    let before = b.peers()[0].address;
    rogue.endpoint.rebind(UdpSocket::bind(loopback(0)).unwrap()).unwrap();
    send.write_all(b"two").await.unwrap();
    timeout(SOON, recv.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"two");
    let after = Some(rogue.endpoint.local_addr().unwrap());
    assert_ne!(before, after);
    // On a busy machine the new path may be tried more than once.
    let began = Instant::now();
    while b.peers()[0].address != after {
        assert!(began.elapsed() < SOON, "{:?}", b.peers());
        send.write_all(b"two").await.unwrap();
        recv.read_exact(&mut answer).await.unwrap();
    }
}
