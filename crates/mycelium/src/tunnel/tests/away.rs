//! Nodes that say that they will be away: other nodes' replicas are used, and where there are none nothing fails.

use std::time::Duration;

use genome::ReplicaState::Ready;

use super::super::wire::{self, Answer};
use super::machine::{eventually, mesh};
use super::refusals::knock;
use super::workload::{Client, http1};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_a_pausing_node_has_is_waited_for_and_nothing_fails() {
    let (mesh, [a, b]) = mesh().await;
    let replica = http1("b").await;
    mesh.says(&b, "r", replica.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    let at = a.at;
    let ask = |path: &'static str| {
        tokio::spawn(async move { Client::connect(at).await.ask("POST", path, "").await })
    };
    assert_eq!(ask("/").await.unwrap().0, 200);
    let open = ask("/slow");
    eventually("it is asked", || replica.asked.get() == 2).await;
    b.tunnels().pause();
    let waiting = ask("/");
    eventually("what idled is closed, what is open is not", || replica.open.get() == 1).await;
    assert_eq!(b.tunnels().idle(Duration::from_millis(50)).await, 1);
    replica.go.notify_one();
    assert_eq!(open.await.unwrap(), (200, "b".to_owned()));
    assert_eq!(b.tunnels().idle(LONG).await, 0);
    assert!(!waiting.is_finished());
    b.tunnels().end();
    b.overlay.close(LONG).await;
    let while_gone = ask("/");
    let again = mesh.again(&b, &a).await;
    drop(b);
    mesh.says(&again, "r", replica.at, Ready, &[&again]);
    for request in [waiting, while_gone] {
        assert_eq!(request.await.unwrap(), (200, "b".to_owned()));
    }
    assert_eq!(replica.asked.get(), 4, "each was asked once");
}

#[tokio::test]
async fn a_pausing_node_is_left_alone_until_it_is_back() {
    let (mesh, [a, b, c]) = mesh().await;
    let (on_b, on_c) = (http1("b").await, http1("c").await);
    mesh.says(&b, "r", on_b.at, Ready, &[&a, &b]);
    mesh.says(&c, "r", on_c.at, Ready, &[&a, &c]);
    a.has_targets(2).await;
    assert_eq!(knock(&a, &b, &wire::head(&b.id("r")).unwrap()).await.0, Some(Answer::Open));
    b.tunnels().pause();
    a.has_targets(1).await;
    for _ in 0..4 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "c".to_owned()));
    }
    assert_eq!(knock(&a, &b, &wire::head(&b.id("r")).unwrap()).await.0, Some(Answer::Pausing));
    a.tunnels().came(&b.overlay.key());
    a.has_targets(2).await;
}

#[tokio::test]
async fn a_node_that_leaves_serves_until_another_does() {
    let (mesh, [a, b, c]) = mesh().await;
    let (on_b, on_c) = (http1("b").await, http1("c").await);
    mesh.says(&b, "r", on_b.at, Ready, &[&a, &b]);
    a.has_targets(1).await;
    a.tunnels().left(b.overlay.key());
    // Whoever leaves serves: that is no news, and not taken for its return.
    for _ in 0..4 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "b".to_owned()));
    }
    let gone = b.tunnels().gone(LONG);
    mesh.says(&c, "r", on_c.at, Ready, &[&a, &c]);
    gone.await;
    eventually("nobody uses it any more", || on_b.open.get() == 0).await;
    for _ in 0..4 {
        assert_eq!(Client::connect(a.at).await.ask("POST", "/", "").await, (200, "c".to_owned()));
    }
}
