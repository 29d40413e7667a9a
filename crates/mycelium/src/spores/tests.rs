//! Three overlays on loopback: two hold a spore, one fetches it, and who isn't admitted gets none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hyphae::{Config, Limits, Overlay};
use repo::Repo;
use repo::exchange::{Exchange, FetchError, PIECE, PROTOCOL};
use types::{Digest, PublicKey};
use zeroize::Zeroizing;

struct Node {
    overlay: Overlay,
    exchange: Exchange,
    _dir: tempfile::TempDir,
}

/// The key of the `n`th node.
fn key(n: u8) -> PublicKey {
    PublicKey::from_bytes(ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key().as_bytes()).unwrap()
}

/// A node that speaks with those whose number is below 10.
async fn node(n: u8) -> Node {
    let dir = tempfile::tempdir().unwrap();
    let limits = repo::exchange::Limits { patience: Duration::from_secs(2), ..Default::default() };
    let exchange = Exchange::new(Repo::open(dir.path()).unwrap(), limits);
    let gate = |peer: &PublicKey, _: &str| {
        let admitted = (0..10).any(|n| key(n) == *peer);
        admitted.then_some(()).ok_or_else(|| "not a member".to_owned())
    };
    let config = Config {
        key: Zeroizing::new([n; 32]),
        listen: vec![([127, 0, 0, 1], 0).into()],
        gate: Arc::new(gate),
        protocols: BTreeMap::from([(PROTOCOL.to_owned(), super::protocol(exchange.clone()))]),
        limits: Limits::default(),
    };
    Node { overlay: Overlay::start(config).await.unwrap(), exchange, _dir: dir }
}

/// Lets `me` fetch a spore from the others, and itself, as it is told.
async fn fetch(me: &Node, from: &[&Node], digest: Digest) -> Result<repo::exchange::Fetched, FetchError> {
    for other in from {
        me.overlay.learn(other.overlay.key(), other.overlay.addresses()).unwrap();
    }
    let mut known: Vec<_> = from.iter().map(|node| node.overlay.key()).collect();
    known.push(me.overlay.key());
    me.exchange.fetch(digest, super::holders(me.overlay.clone(), move |_| known.clone())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spore_comes_from_the_peers_that_hold_it() {
    let content: Vec<u8> = (0..20 * PIECE + 5).map(|at| (at * at % 251) as u8).collect();
    let [one, two, me, stranger] = [node(1).await, node(2).await, node(3).await, node(99).await];
    let (digest, _) = one.exchange.repo().put(&content[..]).unwrap();
    two.exchange.repo().put(&content[..]).unwrap();
    let fetched = fetch(&me, &[&one, &two], digest).await.unwrap();
    assert_eq!(fetched.from.keys().collect::<Vec<_>>().len(), 2, "{fetched:?}");
    assert_eq!(std::fs::read(&fetched.path).unwrap(), content);
    // what one has fetched, it serves
    one.overlay.close(Duration::ZERO).await;
    two.overlay.close(Duration::ZERO).await;
    let next = node(4).await;
    let fetched = fetch(&next, &[&one, &two, &me], digest).await.unwrap();
    assert_eq!(fetched.from.keys().collect::<Vec<_>>(), [&me.overlay.key()]);
    let refused = fetch(&stranger, &[&me], digest).await.unwrap_err().to_string();
    assert!(refused.contains("not a member"), "{refused}");
    for node in [me, stranger, next] {
        node.overlay.close(Duration::ZERO).await;
    }
}
