//! What passes through a tunnel: everything that passes through a socket.

use std::time::Duration;

use bytes::Bytes;
use genome::ReplicaState::Ready;
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::machine::{eventually, mesh};
use super::workload::{Client, h2c, http1, pieces};

#[tokio::test]
async fn a_replica_elsewhere_is_asked_over_one_tunnel_that_is_kept() {
    let (mesh, [a, b]) = mesh().await;
    let replica = http1("b").await;
    mesh.says(&b, "r", replica.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    let mut client = Client::connect(a.at).await;
    for method in ["GET", "POST", "GET", "POST"] {
        assert_eq!(client.ask(method, "/", "").await, (200, "b".to_owned()));
    }
    assert_eq!((replica.connections.get(), replica.asked.get()), (1, 4));
    let large = "x".repeat(3_000_000);
    let (status, answer) = client.ask("POST", "/echo", &large).await;
    assert!(status == 200 && answer == large);
}

#[tokio::test]
async fn a_replica_here_goes_before_one_elsewhere() {
    let (mesh, [a, b]) = mesh().await;
    let (here, there) = (http1("here").await, http1("there").await);
    mesh.says(&b, "r", there.at, Ready, &[&a, &b]);
    mesh.says(&a, "r", here.at, Ready, &[&a]);
    a.has_targets(2).await;
    let mut client = Client::connect(a.at).await;
    for _ in 0..5 {
        assert_eq!(client.ask("POST", "/", "").await.1, "here");
    }
    // What can't be connected to has got nothing.
    drop(here);
    for _ in 0..5 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "there".to_owned()));
    }
}

#[tokio::test]
async fn pieces_of_a_body_flow_both_ways_as_they_come() {
    let (mesh, [a, b]) = mesh().await;
    for h2 in [false, true] {
        let replica = if h2 { h2c("b").await } else { http1("b").await };
        mesh.says_as(&b, "r", replica.at, Ready, if h2 { "h2c" } else { "http" }, &[&a, &b]);
        let mut client = Client::connect(a.at).await;
        eventually("it is the one that is asked", || a.edge.routes().apps().len() == 1).await;
        while client.ask("GET", "/", "").await.0 != 200 || replica.asked.get() == 0 {}
        let (sender, body) = pieces();
        let sending = client.send("POST", "/echo", body);
        sender.send(Bytes::from_static(b"first")).await.unwrap();
        let mut response = sending.await.into_body();
        for piece in ["first", "second", "third"] {
            if piece != "first" {
                sender.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
            }
            // Each comes back before the next is sent.
            let got = response.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(got, piece);
        }
        drop(sender);
        assert!(response.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_websocket_carries_bytes_and_its_end_both_ways() {
    let (mesh, [a, b]) = mesh().await;
    let replica = http1("b").await;
    mesh.says(&b, "r", replica.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    let mut client = Client::connect(a.at).await;
    let response = client.send("GET", "/ws", super::workload::full("")).await;
    assert_eq!(response.status(), 101);
    let mut socket = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    socket.write_all(b"ping").await.unwrap();
    let mut pong = [0; 4];
    socket.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"ping");
    let (mut read, mut write) = tokio::io::split(socket);
    let large = vec![7; 3 << 20];
    let sent = large.clone();
    let sending = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        // Half of it is closed; what is under way still comes back.
        write.shutdown().await.unwrap();
    });
    let mut back = Vec::new();
    let whole = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut back)).await;
    whole.expect("the end comes back, too").unwrap();
    sending.await.unwrap();
    assert!(back == large);
    eventually("nothing is left open", || replica.open.get() == 0).await;
}
