//! Holders that send what isn't the spore. They are found out, and it arrives from the others.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::{Digest, PublicKey};

use super::rig::{Net, Node, content, key, limits, outline};
use crate::exchange::outline::Outline;
use crate::exchange::wire::{Have, Head, REQUEST, Request};
use crate::exchange::{Duplex, FetchError, Holders, Limits, Opening, PIECE};

fn altered(spore: &[u8], piece: usize) -> Vec<u8> {
    let mut lie = spore.to_vec();
    lie[piece * PIECE + 5] ^= 1;
    lie
}

#[tokio::test]
async fn a_false_piece_is_blamed_on_its_sender_at_once() {
    let spore = content(1, 40 * PIECE);
    let [honest, liar, me] = [0, 1, 2].map(Node::new);
    let digest = honest.put(&spore);
    let mut lie = spore.clone();
    lie.chunks_mut(PIECE).for_each(|piece| piece[9] ^= 1);
    liar.pretend(&digest, &lie, outline(&spore));
    let net = Net::of(&[&honest, &liar]);
    let fetched = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
    me.has(&digest, &spore).await;
    assert_eq!(fetched.blamed.keys().collect::<Vec<_>>(), [&liar.key]);
    assert!(fetched.blamed[&liar.key].contains("not what its list says"), "{:?}", fetched.blamed);
    assert_eq!(fetched.from.get(&liar.key), None);
}

/// The liar is alone when the fetch begins, so that its list is the one that is followed.
#[tokio::test]
async fn a_false_list_is_found_out_by_the_whole_and_its_true_pieces_stay() {
    let spore = content(2, 20 * PIECE);
    let [honest, liar, me] = [0, 1, 2].map(Node::new);
    let digest = honest.put(&spore);
    let lie = altered(&spore, 3);
    liar.pretend(&digest, &lie, outline(&lie));
    let net = Net::of(&[&liar]);
    let fetching = me.exchange.fetch(digest, net.for_node(&me));
    let (fetched, ()) = tokio::join!(fetching, async {
        super::swarm::until(|| me.exchange.progress(&digest).is_some()).await;
        net.add(&honest);
    });
    let fetched = fetched.unwrap();
    me.has(&digest, &spore).await;
    assert_eq!(fetched.blamed.keys().collect::<Vec<_>>(), [&liar.key]);
    assert!(fetched.blamed[&liar.key].contains("list of pieces"), "{:?}", fetched.blamed);
    assert_eq!(honest.sent(), PIECE as u64, "the one piece in which the lists differ");
}

#[tokio::test]
async fn lists_of_another_size_are_no_trouble() {
    for lie in [content(3, 5), content(4, 30 * PIECE), Vec::new()] {
        let spore = content(3, 8 * PIECE + 9);
        let [honest, liar, me] = [0, 1, 2].map(Node::new);
        let digest = honest.put(&spore);
        liar.pretend(&digest, &lie, outline(&lie));
        let net = Net::of(&[&liar]);
        let fetching = me.exchange.fetch(digest, net.for_node(&me));
        let (fetched, ()) = tokio::join!(fetching, async {
            super::swarm::until(|| net.opened() > 0).await;
            net.add(&honest);
        });
        fetched.unwrap();
        me.has(&digest, &spore).await;
    }
}

#[tokio::test]
async fn liars_alone_are_told_as_such() {
    let spore = content(5, 3 * PIECE);
    let liars = [0, 1].map(Node::new);
    let me = Node::with(2, Limits { patience: Duration::from_millis(300), ..limits() });
    let digest = Digest::of(&spore);
    for (piece, liar) in liars.iter().enumerate() {
        let lie = altered(&spore, piece);
        liar.pretend(&digest, &lie, outline(&lie));
    }
    let net = Net::of(&[&liars[0], &liars[1]]);
    let error = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap_err();
    let FetchError::NoHolder { blamed, .. } = error else { panic!("{error}") };
    assert_eq!(blamed.len(), 2, "{blamed:?}");
    assert!(me.repo().path(&digest).is_none());
}

/// Who fetches under a false list passes it on, and is no liar for it: once it has the truth, it is asked again.
#[tokio::test]
async fn who_was_lied_to_is_not_a_liar() {
    let spore = content(6, 10 * PIECE);
    let [honest, liar, deceived, me] = [0, 1, 2, 3].map(Node::new);
    let digest = honest.put(&spore);
    let lie = altered(&spore, 9);
    liar.pretend(&digest, &lie, outline(&lie));
    let all = Net::of(&[&liar, &deceived, &me]);
    let first = deceived.exchange.fetch(digest, all.for_node(&deceived));
    let second = me.exchange.fetch(digest, all.for_node(&me));
    let (first, second, ()) = tokio::join!(first, second, async {
        super::swarm::until(|| deceived.exchange.progress(&digest).is_some()).await;
        all.add(&honest);
    });
    for fetched in [first.unwrap(), second.unwrap()] {
        assert!(fetched.blamed.keys().all(|peer| *peer == liar.key), "{:?}", fetched.blamed);
    }
    me.has(&digest, &spore).await;
}

/// A spore that was damaged on a holder's disk is not offered.
#[tokio::test]
async fn a_damaged_spore_is_not_served() {
    let spore = content(7, 2 * PIECE);
    let [damaged, me] =
        [0, 1].map(|n| Node::with(n, Limits { patience: Duration::from_millis(300), ..limits() }));
    let digest = Digest::of(&spore);
    std::fs::write(damaged.path(&format!("{digest}.spore")), altered(&spore, 1)).unwrap();
    let net = Net::of(&[&damaged]);
    let error = me.exchange.fetch(digest, net.for_node(&me)).await.unwrap_err();
    assert!(error.to_string().contains("it does not have it"), "{error}");
    assert_eq!(damaged.sent(), 0);
    damaged.put(&spore);
    me.exchange.fetch(digest, net.for_node(&me)).await.unwrap();
    me.has(&digest, &spore).await;
}

/// What a scripted peer does with a request.
type Script = fn(Request, &Outline) -> Option<Vec<u8>>;

/// Peers that follow a script; the last one is honest.
struct Scripted {
    outline: Outline,
    honest: Node,
    scripts: Vec<Script>,
}

impl Holders for Scripted {
    fn candidates(&self, _: &Digest) -> Vec<PublicKey> {
        (0..=u8::try_from(self.scripts.len()).unwrap()).map(key).collect()
    }

    fn open(&self, peer: PublicKey) -> Opening<'_> {
        let script = (0..).zip(&self.scripts).find(|(n, _)| key(*n) == peer).map(|(_, script)| *script);
        let (ours, mut theirs) = tokio::io::duplex(64 << 10);
        let (outline, honest) = (self.outline.clone(), self.honest.clone());
        tokio::spawn(async move {
            let Some(script) = script else { return drop(honest.exchange.serve(theirs).await) };
            let mut request = [0; REQUEST];
            while theirs.read_exact(&mut request).await.is_ok() {
                let Some(answer) = script(Request::decode(&request).unwrap(), &outline) else { return };
                if theirs.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
        Box::pin(async move { Ok(Box::new(ours) as Box<dyn Duplex>) })
    }
}

fn answer(head: Head, content: &[u8]) -> Option<Vec<u8>> {
    Some([&head.encode()[..], content].concat())
}

fn have(outline: &Outline) -> Option<Vec<u8>> {
    let have = Have { size: outline.size(), outline: outline.id(), pieces: None }.encode();
    answer(Head::Have(have.len()), &have)
}

fn whole(request: Request, outline: &Outline) -> Option<Vec<u8>> {
    match request {
        Request::Have(_) => have(outline),
        Request::Outline(_) => answer(Head::Outline(outline.encode().len()), &outline.encode()),
        Request::Pieces { .. } => None,
    }
}

/// Garbage, answers that don't fit, silence: none of it stops a fetch.
#[tokio::test]
async fn no_answer_of_a_peer_stops_a_fetch() {
    let scripts: Vec<Script> = vec![
        |_, _| Some(vec![0xff; 64]),
        |_, _| answer(Head::Piece(4), b"what"),
        |_, _| answer(Head::Busy, &[]),
        |_, _| answer(Head::Have(40), &[0xff; 40]),
        |request, outline| match request {
            Request::Outline(_) => answer(Head::Outline(11), &[0; 11]),
            other => whole(other, outline),
        },
        |request, outline| match request {
            Request::Outline(_) => answer(Head::Outline(8), &[0; 8]),
            other => whole(other, outline),
        },
        |request, outline| match request {
            Request::Pieces { .. } => answer(Head::Piece(7), &[0; 7]),
            other => whole(other, outline),
        },
        |request, outline| match request {
            Request::Pieces { .. } => have(outline),
            other => whole(other, outline),
        },
        |request, outline| match request {
            Request::Pieces { .. } => Some(Vec::new()),
            other => whole(other, outline),
        },
        // the head of a piece, and never the rest
        |request, outline| match request {
            Request::Pieces { .. } => answer(Head::Piece(PIECE), &[0; 10]),
            other => whole(other, outline),
        },
        whole,
    ];
    let spore = content(8, 9 * PIECE);
    let honest = Node::new(u8::try_from(scripts.len()).unwrap());
    let me = Node::with(99, Limits { idle: Duration::from_millis(500), ..limits() });
    let digest = honest.put(&spore);
    let holders = Arc::new(Scripted { outline: outline(&spore), honest, scripts });
    let fetched = me.exchange.fetch(digest, holders).await.unwrap();
    me.has(&digest, &spore).await;
    assert!(!fetched.blamed.is_empty(), "{:?}", fetched.blamed);
}

/// What a stranger's request may be: the server answers what is one, and hangs up on the rest.
#[tokio::test]
async fn requests_that_are_none_end_the_stream() {
    let spore = content(9, 2 * PIECE);
    let node = Node::new(0);
    let digest = node.put(&spore);
    let id = outline(&spore).id();
    let ask = |bytes: Vec<u8>| {
        let node = node.clone();
        async move {
            let (mut ours, theirs) = tokio::io::duplex(64 << 10);
            let served = tokio::spawn(async move { node.exchange.serve(theirs).await });
            ours.write_all(&bytes).await.unwrap();
            ours.shutdown().await.unwrap();
            let mut answer = Vec::new();
            ours.read_to_end(&mut answer).await.unwrap();
            (answer, served.await.unwrap().is_ok())
        }
    };
    let pieces = |outline, first, count| Request::Pieces { digest, outline, first, count }.encode().to_vec();
    assert_eq!(ask(Vec::new()).await, (Vec::new(), true));
    assert_eq!(ask(vec![7; REQUEST]).await, (Vec::new(), false));
    assert_eq!(ask(vec![1; REQUEST - 1]).await, (Vec::new(), false));
    assert_eq!(ask(pieces(id, 0, 17)).await, (Vec::new(), false), "too many at once");
    assert_eq!(ask(pieces(id, 4_095, 2)).await, (Vec::new(), false), "past what any spore has");
    assert_eq!(ask(pieces(id, 2, 1)).await, (Head::No.encode().to_vec(), true), "past the end");
    assert_eq!(ask(pieces(digest, 0, 1)).await, (Head::No.encode().to_vec(), true), "another outline");
    let (both, ended) = ask(pieces(id, 0, 3)).await;
    let [first, second] =
        [&spore[..PIECE], &spore[PIECE..]].map(|p| [&Head::Piece(PIECE).encode(), p].concat());
    assert!(ended && both == [first, second, Head::No.encode().to_vec()].concat(), "a range, to the end");
    let absent = Request::Have(Digest::of(b"absent")).encode().to_vec();
    assert_eq!(ask(absent).await, (Head::No.encode().to_vec(), true));
}
