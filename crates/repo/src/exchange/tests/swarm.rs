//! Several holders, and holders that become more.

use std::num::NonZeroU64;
use std::time::Duration;

use tokio::task::JoinSet;
use types::Digest;

use super::rig::{Net, Node, content, limits};
use crate::exchange::{FetchError, Limits, PIECE};

#[tokio::test]
async fn fetches_from_several_holders_at_once() {
    for bytes in [0, 1, PIECE - 1, PIECE, PIECE + 1, 24 * PIECE + 77] {
        let spore = content(1, bytes);
        let [a, b, c, d] = [0, 1, 2, 3].map(Node::new);
        let digest = a.put(&spore);
        b.put(&spore);
        c.put(&spore);
        let net = Net::of(&[&a, &b, &c, &d]);
        let fetched = d.exchange.fetch(digest, net.for_node(&d)).await.unwrap();
        assert_eq!((fetched.bytes, fetched.path), (bytes as u64, d.repo().path(&digest).unwrap()));
        assert_eq!(fetched.from.values().sum::<u32>() as usize, bytes.div_ceil(PIECE));
        assert!(fetched.blamed.is_empty(), "{:?}", fetched.blamed);
        d.has(&digest, &spore).await;
        if bytes > 20 * PIECE {
            assert_eq!(fetched.from.len(), 3, "{:?}", fetched.from);
        }
    }
}

#[tokio::test]
async fn what_is_here_is_not_fetched() {
    let node = Node::new(0);
    let digest = node.put(b"here");
    let net = Net::of(&[]);
    let here = node.exchange.fetch(digest, net.for_node(&node)).await.unwrap();
    assert!(here.from.is_empty());
    assert_eq!(here.bytes, 4);
}

#[tokio::test]
async fn a_slow_holder_does_not_hold_up_the_end() {
    let spore = content(2, 40 * PIECE);
    let [fast, other, me] = [0, 1, 2].map(Node::new);
    // 4 pieces of it would take more than a minute
    let crawl = NonZeroU64::new(64 << 10);
    let slow = Node::with(3, Limits { upload_rate: crawl, ..limits() });
    let digest = fast.put(&spore);
    other.put(&spore);
    slow.put(&spore);
    let net = Net::of(&[&fast, &other, &slow]);
    let fetching = me.exchange.fetch(digest, net.for_node(&me));
    let fetched = tokio::time::timeout(Duration::from_secs(15), fetching).await.unwrap().unwrap();
    me.has(&digest, &spore).await;
    assert!(fetched.from.get(&slow.key).is_none_or(|pieces| *pieces < 4), "{:?}", fetched.from);
}

#[tokio::test]
async fn a_holder_that_dies_in_the_middle_is_done_without() {
    let spore = content(3, 30 * PIECE);
    let [dying, other, me] = [0, 1, 2].map(Node::new);
    let digest = dying.put(&spore);
    other.put(&spore);
    let net = Net::of(&[&dying, &other]);
    net.fuse(&dying, 5 * PIECE + 1234);
    let fetched = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
    assert!(fetched.blamed.is_empty(), "to die is no lie");
    me.has(&digest, &spore).await;
}

#[tokio::test]
async fn holders_may_vanish_all_and_come_back() {
    let spore = content(4, 12 * PIECE);
    let [holder, late, me] = [0, 1, 2].map(Node::new);
    let digest = holder.put(&spore);
    late.put(&spore);
    let net = Net::of(&[&holder]);
    net.fuse(&holder, 4 * PIECE);
    let fetching = tokio::spawn({
        let (me, holders) = (me.clone(), net.for_node(&me));
        async move { me.exchange.fetch(digest, holders).await }
    });
    until(|| me.exchange.progress(&digest).is_some_and(|progress| progress.have > 0)).await;
    net.remove(&holder);
    net.add(&late);
    let fetched = fetching.await.unwrap().unwrap();
    me.has(&digest, &spore).await;
    assert!(fetched.from.contains_key(&late.key));
}

#[tokio::test]
async fn nobody_who_has_it_is_told_as_such() {
    let [empty, lost, me] =
        [0, 1, 2].map(|n| Node::with(n, Limits { patience: Duration::from_millis(300), ..limits() }));
    let net = Net::of(&[&empty, &lost]);
    net.lose(&lost);
    let error = me.exchange.fetch(Digest::of(b"?"), net.for_node(&me)).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, FetchError::NoHolder { have: 0, of: 0, .. }), "{text}");
    assert!(text.contains("it does not have it") && text.contains("no route to it"), "{text}");
    assert!(me.names().is_empty(), "{:?}", me.names());
    let nobody = Net::of(&[]);
    let text = me.exchange.fetch(Digest::of(b"?"), nobody.for_node(&me)).await.unwrap_err().to_string();
    assert!(text.contains("nobody is known to have it"), "{text}");
}

#[tokio::test]
async fn fetches_of_one_digest_are_one() {
    let spore = content(5, 20 * PIECE);
    let [holder, me] = [0, 1].map(Node::new);
    let digest = holder.put(&spore);
    let net = Net::of(&[&holder]);
    let mut all = JoinSet::new();
    for _ in 0..8 {
        let (me, holders) = (me.clone(), net.for_node(&me));
        all.spawn(async move { me.exchange.fetch(digest, holders).await.unwrap().path });
    }
    let paths = all.join_all().await;
    assert!(paths.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(holder.sent(), spore.len() as u64, "it was sent once");
    me.has(&digest, &spore).await;
}

#[tokio::test]
async fn who_leaves_a_shared_fetch_leaves_it_to_the_others() {
    let spore = content(6, 20 * PIECE);
    let [holder, me] = [0, 1].map(Node::new);
    let digest = holder.put(&spore);
    let net = Net::of(&[&holder]);
    let mut first = Box::pin(me.exchange.fetch(digest, net.for_node(&me)));
    assert!(futures_poll_once(first.as_mut()).await.is_none());
    let second = me.exchange.fetch(digest, net.for_node(&me));
    let (second, ()) = tokio::join!(second, async {
        until(|| me.exchange.progress(&digest).is_some_and(|progress| progress.have > 0)).await;
        drop(first);
    });
    second.unwrap();
    me.has(&digest, &spore).await;
}

/// One source that serves two at a time and fourteen who want it: who has been served serves the next. An upload takes
/// as long everywhere, so that the source, while the others are served in three rounds, sends six times the spore, and a
/// bit more as some come back late; not fourteen times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holders_become_more_from_round_to_round() {
    for pieces in [1, 12] {
        let spore = content(7, pieces * PIECE);
        let size = spore.len() as u64;
        let two = || Limits { uploads: 2, upload_rate: NonZeroU64::new(2 * size), ..limits() };
        let nodes: Vec<_> = (0..15).map(|n| Node::with(n, two())).collect();
        let digest = nodes[0].put(&spore);
        let net = Net::of(&nodes.iter().collect::<Vec<_>>());
        let mut all = JoinSet::new();
        for node in nodes[1..].iter().cloned() {
            let holders = net.for_node(&node);
            all.spawn(async move { node.exchange.fetch(digest, holders).await.unwrap() });
        }
        all.join_all().await;
        for node in &nodes {
            node.has(&digest, &spore).await;
        }
        let uploads: Vec<_> = nodes.iter().map(|node| node.sent() as f64 / size as f64).collect();
        assert!(uploads[0] <= 9.0, "{uploads:?}");
        assert!(uploads[1..].iter().sum::<f64>() >= 5.0, "{uploads:?}");
        assert!(nodes[0].exchange.stats().refused > 0, "the source was busy: {uploads:?}");
    }
}

#[tokio::test]
async fn uploads_keep_to_their_rate() {
    let spore = content(8, 2 * PIECE);
    let rate = NonZeroU64::new(4 << 20);
    let slow = Node::with(0, Limits { upload_rate: rate, ..limits() });
    let me = Node::new(1);
    let digest = slow.put(&spore);
    let net = Net::of(&[&slow]);
    let begun = std::time::Instant::now();
    me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
    assert!(begun.elapsed() > Duration::from_millis(400), "{:?}", begun.elapsed());
}

/// Waits until something holds.
pub async fn until(holds: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < end, "it never came");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Lets a future begin.
pub async fn futures_poll_once<F: Future + ?Sized>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        std::task::Poll::Ready(output) => std::task::Poll::Ready(Some(output)),
        std::task::Poll::Pending => std::task::Poll::Ready(None),
    })
    .await
}
