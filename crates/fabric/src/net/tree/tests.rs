//! One node's side of the tree, by hand. Whole trees are simulated in `sim`.

use super::*;

const MILLI: Duration = Duration::from_millis(1);

fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

fn id(number: u16) -> Digest {
    Digest::of(&number.to_be_bytes())
}

/// Among so many members; and its neighbours.
fn tree(members: u8) -> (Tree, Vec<PeerId>) {
    let mut tree = Tree::new(&peer(0));
    (1..=members).for_each(|number| tree.came(&peer(number), number.into()));
    let near = tree.neighbours().collect();
    (tree, near)
}

fn pushed(sends: &Sends) -> Vec<PeerId> {
    sends.iter().filter(|(_, message)| matches!(message, Message::News { .. })).map(|(to, _)| *to).collect()
}

fn promised(tree: &mut Tree, from: PeerId, ids: &[(Digest, u8)], now: Duration) {
    tree.promised(from, ids.to_vec(), now, |_| false);
}

/// One that pushes to the first of its neighbours alone.
fn thinned() -> (Tree, Vec<PeerId>) {
    let (mut tree, near) = tree(200);
    assert!(near.len() >= 6);
    near[1..].iter().for_each(|peer| tree.pruned(peer));
    (tree, near)
}

#[test]
fn what_comes_twice_thins_out_a_large_mesh_and_no_small_one() {
    for (members, thins) in [(64, false), (65, true)] {
        let (mut tree, near) = tree(members);
        assert_eq!(pushed(&tree.spread(id(1), b"a", 1, Some(near[0]), MILLI)), near[1..]);
        let prune = tree.twice(near[1]);
        assert_eq!(prune == [(near[1], Message::Prune)], thins);
        let next = pushed(&tree.spread(id(2), b"b", 1, Some(near[0]), MILLI));
        assert_eq!(next, near[if thins { 2 } else { 1 }..], "{members} members");
    }
}

#[test]
fn promises_go_together_to_those_who_lack_what_is_promised() {
    let (mut tree, near) = thinned();
    assert_eq!(pushed(&tree.spread(id(1), b"a", 1, None, MILLI)), near[..1]);
    promised(&mut tree, near[1], &[(id(1), 1), (id(2), 1)], 2 * MILLI);
    assert_eq!(pushed(&tree.spread(id(2), b"b", 2, Some(near[2]), 3 * MILLI)), near[..1]);
    assert_eq!(tree.due(), Some(6 * MILLI));
    let mut both = vec![(id(1), 1), (id(2), 2)];
    both.sort_unstable();
    // the second has both; the third, who pushed the one and is pushed to from now on, lacks the other
    let mut expected: Sends = near[3..].iter().map(|peer| (*peer, Message::Have(both.clone()))).collect();
    expected.insert(0, (near[2], Message::Have(vec![(id(1), 1)])));
    assert_eq!(tree.timer(6 * MILLI), expected);
    assert_eq!(tree.timer(60 * MILLI), []);
}

#[test]
fn what_is_missing_is_asked_of_who_promised_it_first_then_of_the_next() {
    let (mut tree, near) = thinned();
    promised(&mut tree, near[3], &[(id(1), 7)], MILLI);
    promised(&mut tree, near[2], &[(id(1), 2)], 2 * MILLI);
    assert_eq!(tree.timer(MISSED), []);
    assert_eq!(tree.timer(MISSED + MILLI), [(near[3], Message::Graft(vec![id(1)]))]);
    assert_eq!(tree.timer(MISSED + MISSED / 2), []);
    assert_eq!(tree.timer(MISSED + MISSED / 2 + MILLI), [(near[2], Message::Graft(vec![id(1)]))]);
    assert_eq!(tree.timer(2 * MISSED + MILLI), [], "nobody is left");
    assert_eq!((tree.due(), tree.missing.len()), (None, 0));
    assert_eq!(pushed(&tree.spread(id(2), b"b", 1, None, MILLI)), [near[0], near[2], near[3]]);
}

#[test]
fn what_came_or_is_known_is_not_asked_for() {
    let (mut tree, near) = thinned();
    promised(&mut tree, near[1], &[(id(1), 1)], MILLI);
    tree.spread(id(1), b"a", 2, Some(near[0]), 2 * MILLI);
    promised(&mut tree, near[2], &[(id(1), 1)], 3 * MILLI);
    tree.promised(near[2], vec![(id(2), 1)], MILLI, |known| *known == id(2));
    tree.timer(7 * MILLI);
    promised(&mut tree, near[2], &[(id(1), 1)], MISSED);
    assert_eq!(tree.timer(MISSED + MILLI), []);
    assert_eq!(tree.due(), None);
}

#[test]
fn a_promise_much_closer_to_the_origin_takes_the_place_of_a_link() {
    for (promise, takes) in [(5 - SHORTCUT, true), (6 - SHORTCUT, false)] {
        let (mut tree, near) = thinned();
        promised(&mut tree, near[4], &[(id(1), promise)], MILLI);
        // it came over 5 links before, and goes on with 6
        let sends = tree.spread(id(1), b"a", 6, Some(near[0]), 2 * MILLI);
        let swap = [(near[4], Message::Graft(Vec::new())), (near[0], Message::Prune)];
        assert_eq!(sends.starts_with(&swap), takes);
        let next = pushed(&tree.spread(id(2), b"b", 1, None, MILLI));
        assert_eq!(next, [near[if takes { 4 } else { 0 }]]);
    }
}

#[test]
fn a_link_that_broke_is_promised_to_until_it_asks_and_one_that_is_gone_is_not() {
    let (mut tree, near) = tree(200);
    tree.broke(&near[0]);
    promised(&mut tree, near[1], &[(id(9), 1)], MILLI);
    assert_eq!(pushed(&tree.spread(id(1), b"a", 1, None, MILLI)), near[1..]);
    tree.grafted(&near[0]);
    assert_eq!(pushed(&tree.spread(id(2), b"b", 1, None, MILLI)), near);
    let left: Vec<PeerId> = (1..=200).map(peer).filter(|one| *one != near[1]).collect();
    tree.went(&near[1], left.into_iter());
    assert!(!tree.neighbours().any(|peer| peer == near[1]));
    assert!(tree.neighbours().len() >= near.len() - 1, "others close the gap");
    assert!(tree.timer(60 * MILLI).iter().all(|(_, message)| !matches!(message, Message::Graft(_))));
    assert_eq!(tree.missing.len(), 0);
}

/// One neighbour's promises, however many, leave room for another's; nobody else's are heard.
#[test]
fn promises_are_bounded_for_each_neighbour() {
    let (mut tree, near) = thinned();
    let stranger = (1..=200).map(peer).find(|peer| !near.contains(peer)).unwrap();
    promised(&mut tree, stranger, &[(id(0), 0)], MILLI);
    assert_eq!(tree.missing.len(), 0);
    for batch in 0..40 {
        let ids: Vec<(Digest, u8)> = (0..500).map(|n| (id(batch * 500 + n), 0)).collect();
        promised(&mut tree, near[1], &ids, MILLI);
    }
    assert_eq!(tree.missing.len(), MAX_PROMISED);
    promised(&mut tree, near[2], &[(id(60_000), 0)], MILLI);
    assert_eq!(tree.missing.len(), MAX_PROMISED + 1);
    let asked: usize = tree.timer(60 * MILLI).iter().map(|(_, message)| message.encode().len()).sum();
    assert!(asked < 20_000, "{asked}");
    assert_eq!(tree.timer(90 * MILLI), []);
    assert_eq!(tree.missing.len(), 0);
}

#[test]
fn what_is_remembered_of_the_past_is_bounded() {
    let (mut tree, near) = thinned();
    for number in 0..50_000 {
        let sends = tree.spread(id(number), b"a", 1, Some(near[0]), MILLI);
        assert!(sends.iter().all(|(_, message)| message.encode().len() < 40 * MAX_PROMISED));
        assert!(tree.fresh.len() < MAX_PROMISED);
    }
    assert!(tree.had.iter().map(BTreeMap::len).sum::<usize>() <= 2 * MAX_HAD);
    assert_eq!(tree.had(&id(49_999)), Some(1));
    tree.sweep();
    assert_eq!(tree.had(&id(49_999)), Some(1));
    tree.sweep();
    assert_eq!(tree.had(&id(49_999)), None);
}
