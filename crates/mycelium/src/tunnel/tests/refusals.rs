//! What is refused: replicas that aren't there, heads that are none, more than there may be.

use std::time::Duration;

use genome::ReplicaState::{Launching, Ready};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::wire::{self, Answer};
use super::super::{Limits, TUNNEL};
use super::machine::{Machine, eventually, mesh, mesh_with};
use super::workload::http1;

/// What `b` answers to these bytes, and the stream.
pub async fn knock(a: &Machine, b: &Machine, head: &[u8]) -> (Option<Answer>, hyphae::Stream) {
    let mut stream = a.overlay.open(b.overlay.key(), TUNNEL).await.unwrap();
    stream.write_all(head).await.unwrap();
    let answer = stream.read_u8().await.ok().and_then(Answer::of);
    (answer, stream)
}

#[tokio::test]
async fn only_what_runs_there_and_takes_requests_is_reached() {
    let (mesh, [a, b]) = mesh().await;
    let replica = http1("b").await;
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    mesh.says(&b, "r", replica.at, Ready, &[&b]);
    mesh.says(&b, "young", replica.at, Launching, &[&b]);
    mesh.says(&b, "dead", dead, Ready, &[&b]);
    // A replica of another node is not for `b` to reach, whatever its record says.
    mesh.says(&a, "r", replica.at, Ready, &[&b]);
    let asks = [
        (b.id("r"), Answer::Open),
        (b.id("young"), Answer::Unknown),
        (b.id("none"), Answer::Unknown),
        (a.id("r"), Answer::Unknown),
        (b.id("dead"), Answer::Dead),
    ];
    for (id, expected) in asks {
        assert_eq!(knock(&a, &b, &wire::head(&id).unwrap()).await.0, Some(expected), "{id}");
    }
    eventually("all are closed", || replica.open.get() == 0).await;
    assert_eq!(replica.connections.get(), 1);
}

#[tokio::test]
async fn garbage_is_told_so_and_costs_nothing() {
    let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
    let (_mesh, [a, b]) = mesh_with(limits, |_| {}).await;
    // A version that nobody speaks, a length that is too long, names that can't be, and a head that never ends.
    for head in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x01\xffa", b"\x01\x03a/b", b"\x01\x09app/b/../", b"\x01\x7fapp"]
    {
        let (answer, mut stream) = knock(&a, &b, head).await;
        assert_eq!(answer, Some(Answer::Garbage), "{head:?}");
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn one_peer_and_all_together_have_so_many_and_no_more() {
    let limits = Limits { of_peer: 3, all: 4, ..Limits::default() };
    let (mesh, [a, b, c]) = mesh_with(limits, |_| {}).await;
    let replica = http1("b").await;
    mesh.says(&b, "r", replica.at, Ready, &[&b]);
    let head = wire::head(&b.id("r")).unwrap();
    let mut open = Vec::new();
    for (peer, expected) in [(&a, 3), (&c, 1)] {
        for n in 0..5 {
            let (answer, stream) = knock(peer, &b, &head).await;
            assert_eq!(answer == Some(Answer::Open), n < expected, "{n} of {expected}: {answer:?}");
            open.push(stream);
        }
    }
    open.clear();
    eventually("all are closed", || replica.open.get() == 0).await;
    assert_eq!(knock(&c, &b, &head).await.0, Some(Answer::Open));
}

#[tokio::test]
async fn an_abandoned_tunnel_frees_its_replica() {
    let (mesh, [a, b]) = mesh().await;
    // It answers nothing and closes nothing by itself.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    mesh.says(&b, "r", listener.local_addr().unwrap(), Ready, &[&b]);
    let head = wire::head(&b.id("r")).unwrap();
    for ends_first in [false, true] {
        let (answer, mut stream) = knock(&a, &b, &head).await;
        assert_eq!(answer, Some(Answer::Open));
        let (_workload, _) = listener.accept().await.unwrap();
        if ends_first {
            stream.shutdown().await.unwrap();
        }
        drop(stream);
        // Otherwise its drain would last as long as the replica likes.
        tokio::time::timeout(Duration::from_secs(5), b.drained("r"))
            .await
            .expect("nobody has a tunnel to it");
        b.resumed("r");
    }
}
