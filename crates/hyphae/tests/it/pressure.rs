//! Handshakes that are begun and left alone take nobody else's place.

use std::net::UdpSocket;

use crate::rogue::{certified, client, endpoint, quic};
use crate::support::{Node, SOON, ask};

/// Whether a packet is a Retry of QUIC version 1 (RFC 9000 §17.2.5).
fn is_retry(packet: &[u8]) -> bool {
    packet[0] & 0xf0 == 0xf0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_handshakes_leave_room_for_those_who_prove_their_address() {
    let b = Node::new(2).limit(|limits| limits.handshakes = 4).start().await;
    // first packets of dials that will never go on, each from an address of its own
    let dialler = endpoint();
    let mut floods = Vec::new();
    for _ in 0..20 {
        let trap = UdpSocket::bind("127.0.0.1:0").unwrap();
        trap.set_read_timeout(Some(SOON)).unwrap();
        let config = quic(client(certified(9, 9), "echo"));
        let _dial = dialler.connect_with(config, trap.local_addr().unwrap(), "x.invalid").unwrap();
        let first = tokio::task::spawn_blocking(move || {
            let mut packet = vec![0; 2_000];
            let size = trap.recv(&mut packet).unwrap();
            packet.truncate(size);
            packet
        });
        let first = first.await.unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(&first, b.addresses()[0]).unwrap();
        floods.push(socket);
    }
    // a decent one is let in at once: it proves its address
    let a = Node::new(1).start().await;
    a.learn(b.key(), b.addresses()).unwrap();
    let answer = tokio::time::timeout(SOON, ask(&a, b.key(), "hi")).await;
    assert_eq!(answer.expect("it got no turn").unwrap(), "hi");

    let answers = tokio::task::spawn_blocking(move || {
        let answer = |socket: UdpSocket| {
            let mut packet = [0; 2_000];
            socket.set_read_timeout(Some(SOON)).unwrap();
            socket.recv(&mut packet).map(|_| is_retry(&packet)).unwrap()
        };
        floods.into_iter().map(answer).collect::<Vec<_>>()
    });
    let retries = answers.await.unwrap().into_iter().filter(|retry| *retry).count();
    assert_eq!(retries, 18, "two may try without a proof");
}
