//! WebSocket and other upgrades: after 101 the edge carries bytes.

use crate::support::{Raw, backend, edge, edge_with, eventually};

const UPGRADE: &str = "GET /app/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Changes protocols, says hello in the same write, then echoes.
async fn echoing() -> std::net::SocketAddr {
    let script = |mut raw: Raw, _| async move {
        let request = raw.message().await.unwrap();
        assert_eq!(
            (request.field("upgrade"), request.field("connection")),
            (Some("websocket"), Some("upgrade"))
        );
        raw.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\nhello").await;
        let (mut read, mut write) = raw.stream.split();
        let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &raw.buffer).await;
        let _ = tokio::io::copy(&mut read, &mut write).await;
    };
    backend(script).await.0
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_on_both_sides() {
    let (edge, addr) = edge(&[echoing().await]);
    let mut client = Raw::connect(addr).await;
    // The first bytes of the new protocol come with the request.
    client.send(format!("{UPGRADE}early").as_bytes()).await;
    let reply = client.message().await.unwrap();
    assert_eq!(
        (
            reply.status(),
            reply.field("upgrade"),
            reply.field("connection"),
            reply.field("sec-websocket-accept")
        ),
        (101, Some("websocket"), Some("upgrade"), Some("x"))
    );
    client.until(b"helloearly").await.unwrap();
    let big = vec![7_u8; 1 << 20];
    let (mut read, mut write) = client.stream.split();
    let sending = async {
        tokio::io::AsyncWriteExt::write_all(&mut write, &big).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut write).await.unwrap();
    };
    let mut got = Vec::new();
    let (_, received) = tokio::join!(sending, tokio::io::AsyncReadExt::read_to_end(&mut read, &mut got));
    received.unwrap();
    assert!(got == big);
    eventually("the tunnel is closed", || edge.stats().connections == 0).await;
    assert_eq!(edge.stats().apps[&crate::support::app("app")].open, 0);
}

#[tokio::test]
async fn a_tunnel_counts_as_open() {
    let (edge, addr) = edge(&[echoing().await]);
    let mut client = Raw::connect(addr).await;
    client.send(UPGRADE.as_bytes()).await;
    client.until(b"hello").await.unwrap();
    let drained = tokio::spawn(edge.routes().drained("app/test/0"));
    client.send(b"still").await;
    client.until(b"still").await.unwrap();
    assert!(!drained.is_finished());
    drop(client);
    drained.await.unwrap();
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let limits = edge::Limits { silence: std::time::Duration::from_millis(50), ..Default::default() };
    let (_edge, addr) = edge_with(&[echoing().await], limits);
    let mut client = Raw::connect(addr).await;
    client.send(UPGRADE.as_bytes()).await;
    client.until(b"hello").await.unwrap();
    assert!(!client.more().await);
}

#[tokio::test]
async fn a_workload_that_does_not_change_protocols_answers_as_usual() {
    let (_edge, addr) = edge(&[crate::support::echo("a").await]);
    let mut client = Raw::connect(addr).await;
    for _ in 0..3 {
        assert_eq!(client.ask(UPGRADE).await.status(), 200);
    }
}
