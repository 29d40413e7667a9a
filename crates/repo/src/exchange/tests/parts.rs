//! The plain functions: who is asked for which piece, and who is asked at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use types::Digest;

use super::rig::{Node, key, outline};
use crate::exchange::board::{Board, Next};
use crate::exchange::crowd::{Crowd, Ended};
use crate::exchange::outline::PIECE;
use crate::exchange::partial::Claim;
use crate::exchange::pieces::Pieces;
use crate::exchange::stage::Stage;
use crate::exchange::wire::Have;

const USUAL: Duration = Duration::from_millis(10);

fn whole(pieces: u32) -> Have {
    Have { size: u64::from(pieces) * PIECE as u64, outline: Digest::of(b""), pieces: None }
}

fn some(of: u32, held: &[u32]) -> Have {
    let mut pieces = Pieces::none(of);
    held.iter().for_each(|index| pieces.insert(*index));
    Have { pieces: Some(pieces), ..whole(of) }
}

#[test]
fn every_piece_is_asked_for_once_before_any_is_asked_for_twice() {
    let mut board = Board::new(Pieces::none(100), 5);
    let now = Instant::now();
    let mut asked = BTreeSet::new();
    for _ in 0..100 {
        let Next::Ask(index) = board.next(1, &whole(100), USUAL, now) else { panic!() };
        assert!(asked.insert(index));
    }
    assert_eq!(board.next(1, &whole(100), USUAL, now), Next::Nothing, "nobody is asked twice for one piece");
    assert!(matches!(board.next(2, &whole(100), USUAL, now), Next::Wait(_)));
}

#[test]
fn pieces_come_nearly_in_order_and_differ_between_fetchers() {
    let mut orders = BTreeSet::new();
    for seed in 0..8 {
        let mut board = Board::new(Pieces::none(200), seed * 977 + 3);
        let mut order = Vec::new();
        for turn in 0..200 {
            let Next::Ask(index) = board.next(1, &whole(200), USUAL, Instant::now()) else { panic!() };
            assert!(index < turn + 32);
            board.here(index);
            order.push(index);
        }
        assert!(board.is_done());
        orders.insert(order);
    }
    assert!(orders.len() > 6);
}

#[test]
fn only_what_a_holder_has_is_asked_of_it() {
    let mut board = Board::new(Pieces::none(64), 5);
    let have = some(64, &[50, 63]);
    let now = Instant::now();
    let asked: BTreeSet<_> = (0..2).map(|_| format!("{:?}", board.next(1, &have, USUAL, now))).collect();
    assert_eq!(asked, BTreeSet::from(["Ask(50)".to_owned(), "Ask(63)".to_owned()]));
    assert_eq!(board.next(1, &have, USUAL, now), Next::Nothing);
    board.without(1, 63);
    assert_eq!(board.next(1, &have, USUAL, now), Next::Ask(63), "what didn't come is asked for again");
}

#[test]
fn what_a_slow_holder_is_late_with_is_asked_of_others_too() {
    let mut board = Board::new(Pieces::none(1), 5);
    let now = Instant::now();
    assert_eq!(board.next(1, &whole(1), USUAL, now), Next::Ask(0));
    let Next::Wait(due) = board.next(2, &whole(1), USUAL, now) else { panic!() };
    assert!(due > now + 2 * USUAL && due < now + 20 * USUAL);
    assert_eq!(board.next(2, &whole(1), USUAL, due), Next::Ask(0));
    let Next::Wait(later) = board.next(3, &whole(1), USUAL, due) else { panic!() };
    assert_eq!(board.next(3, &whole(1), USUAL, later), Next::Ask(0));
    assert_eq!(board.next(4, &whole(1), USUAL, later + 50 * USUAL), Next::Nothing, "three are enough");
    board.here(0);
    assert!(board.is_done());
}

#[test]
fn the_crowd_is_asked_in_turn_and_who_is_busy_later() {
    let mut crowd = Crowd::new(7);
    let peers: Vec<_> = (0..5).map(key).collect();
    crowd.listed(peers.clone());
    let now = Instant::now();
    let first: BTreeSet<_> = (0..5).map(|_| crowd.next(|_| false, now).unwrap()).collect();
    assert_eq!(first.len(), 5, "each once");
    assert_eq!(crowd.next(|_| false, now), None);
    crowd.ended(peers[2], &Ended::Busy, 0, now);
    assert_eq!(crowd.next(|_| false, now), None, "not at once");
    let wake = crowd.wake(|_| false).unwrap();
    assert!(wake > now && wake < now + Duration::from_secs(1));
    assert_eq!(crowd.next(|peer| *peer == peers[2], wake), None, "never who lied");
    assert_eq!(crowd.next(|_| false, wake), Some(peers[2]));
}

#[test]
fn the_likelier_come_first_and_who_had_it_before_them() {
    let mut crowd = Crowd::new(7);
    let peers: Vec<_> = (0..100).map(key).collect();
    crowd.listed(peers.clone());
    let now = Instant::now();
    let first: BTreeSet<_> = (0..16).map(|_| crowd.next(|_| false, now).unwrap()).collect();
    assert_eq!(first, peers[..16].iter().copied().collect());
    crowd.ended(peers[3], &Ended::Busy, 0, now);
    crowd.ended(peers[4], &Ended::Without, 0, now);
    let later = now + Duration::from_secs(20);
    assert_eq!(crowd.next(|_| false, later), Some(peers[3]));
    let next = crowd.next(|_| false, later).unwrap();
    assert!(peers[16..32].contains(&next), "who has not been asked comes before who didn't have it");
}

#[test]
fn who_brings_nothing_is_asked_less_and_less_and_never_given_up() {
    let mut crowd = Crowd::new(7);
    crowd.listed(vec![key(0)]);
    let mut now = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..30 {
        crowd.next(|_| false, now).unwrap();
        crowd.ended(key(0), &Ended::Failed("no route".to_owned()), 0, now);
        let wake = crowd.wake(|_| false).unwrap();
        waits.push(wake - now);
        now = wake;
    }
    assert!(waits[0] < Duration::from_secs(1));
    assert!(waits[20..].iter().all(|wait| (5..=10).contains(&wait.as_secs())), "{waits:?}");
    crowd.next(|_| false, now).unwrap();
    crowd.ended(key(0), &Ended::Failed("no route".to_owned()), 3, now);
    assert!(
        crowd.wake(|_| false).unwrap() - now < Duration::from_secs(1),
        "who brought something is asked soon"
    );
    assert!(crowd.said().contains("no route"));
}

#[test]
fn who_is_asked_first_differs_from_node_to_node() {
    let first = |seed| {
        let mut crowd = Crowd::new(seed);
        crowd.listed((0..10).map(key).collect());
        crowd.next(|_| false, Instant::now()).unwrap()
    };
    assert!((0..20).map(first).collect::<BTreeSet<_>>().len() > 4);
}

/// Who holds a part under a false outline may pass it on for ever among others like them: it is not followed twice.
#[test]
fn a_false_outline_is_followed_once_and_blamed_on_who_claims_the_whole() {
    let node = Node::new(0);
    let now = Instant::now();
    let claim = Claim::take(node.repo(), &Digest::of(b"a spore")).unwrap().unwrap();
    let partial = Arc::new(claim.begin(Arc::new(outline(b"a lie"))).unwrap());
    let id = partial.outline().id();
    let mut stage = Stage::new(now);
    assert!(stage.wants(&id));
    stage.follow(partial, 1, now);
    let have = |pieces| Have { size: 5, outline: id, pieces };
    stage.heard(key(1), &have(None));
    stage.heard(key(2), &have(Some(Pieces::none(1))));
    stage.heard(key(3), &Have { outline: Digest::of(b"another"), ..have(None) });
    stage.refuse(now);
    assert!(!stage.wants(&id) && stage.wants(&Digest::of(b"another")));
    assert_eq!(stage.blamed.keys().collect::<Vec<_>>(), [&key(1)]);
    assert!(stage.before.is_some(), "its pieces may be of use");
}
