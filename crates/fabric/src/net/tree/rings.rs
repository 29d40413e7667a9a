//! Rings: who is whose neighbour. All members stand on four circles, on each in another order, and everybody's
//! neighbours are those beside it (Law and Siu, "Distributed Construction of Random Expander Networks", 2003).
//!
//! No message is needed for it: where a member stands follows from its key, so both ends of a link come to the same
//! result. One circle alone connects all; four in unlike orders make a graph in which any two are few hops apart (five
//! at 1,000) and which no failure of many at once cuts, since each who is missing is closed over as soon as it
//! is known to be gone. Where views differ, links differ beside that member only: it is heard of less
//! until it is known, and reconciliation makes up for it. Who makes keys to stand beside somebody needs eight that
//! the mesh admits, and wins a delay.

use std::collections::BTreeSet;

use types::Digest;

use crate::net::peer::PeerId;

const RINGS: usize = 4;

type Place = (u64, PeerId);

/// How far on from us a place is, going round: those above us come before those that are only reached past the end.
type Step = (bool, Place);

/// Who stands beside us on one ring. The others needn't be kept: they are looked through when one of these goes.
#[derive(Default, Clone, Copy)]
struct Beside {
    after: Option<Step>,
    before: Option<Step>,
}

pub(super) struct Rings {
    me: [Place; RINGS],
    beside: [Beside; RINGS],
}

impl Rings {
    pub(super) fn new(me: &PeerId) -> Self {
        Self { me: places(me), beside: Default::default() }
    }

    /// Takes note of a member.
    pub(super) fn add(&mut self, peer: &PeerId) {
        for ((beside, me), place) in self.beside.iter_mut().zip(&self.me).zip(places(peer)) {
            let step = (place < *me, place);
            beside.after = Some(beside.after.map_or(step, |held| held.min(step)));
            beside.before = Some(beside.before.map_or(step, |held| held.max(step)));
        }
    }

    /// Takes note that a member is gone; these are left.
    pub(super) fn remove(&mut self, peer: &PeerId, left: impl Iterator<Item = PeerId>) {
        if self.near().contains(peer) {
            self.beside = Default::default();
            left.for_each(|one| self.add(&one));
        }
    }

    /// Who stands beside us: at most two a ring.
    pub(super) fn near(&self) -> BTreeSet<PeerId> {
        let both = self.beside.iter().flat_map(|beside| [beside.after, beside.before]);
        both.flatten().map(|(_, (_, peer))| peer).collect()
    }
}

/// Where a member stands on each ring.
fn places(peer: &PeerId) -> [Place; RINGS] {
    let hash = Digest::of(&[b"mycelium tree ring\0".as_slice(), peer.as_bytes()].concat());
    let (numbers, _) = hash.as_bytes().as_chunks::<8>();
    std::array::from_fn(|ring| (u64::from_be_bytes(numbers[ring]), *peer))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn peer(number: u16) -> PeerId {
        PeerId::from_bytes(*Digest::of(&number.to_be_bytes()).as_bytes())
    }

    /// Everybody's neighbours, where `who` knows those for whom `knows` holds.
    fn graph(all: &[u16], knows: impl Fn(u16, u16) -> bool) -> BTreeMap<PeerId, BTreeSet<PeerId>> {
        let near = |who: u16| {
            let mut rings = Rings::new(&peer(who));
            all.iter()
                .filter(|other| **other != who && knows(who, **other))
                .for_each(|one| rings.add(&peer(*one)));
            (peer(who), rings.near())
        };
        all.iter().map(|who| near(*who)).collect()
    }

    /// Hops until what one says is with all, if it ever is.
    fn hops(graph: &BTreeMap<PeerId, BTreeSet<PeerId>>, from: PeerId) -> Option<usize> {
        let mut reached = BTreeSet::from([from]);
        for hop in 0..graph.len() {
            if reached.len() == graph.len() {
                return Some(hop);
            }
            let next: Vec<PeerId> = reached.iter().flat_map(|one| &graph[one]).copied().collect();
            reached.extend(next.into_iter().filter(|one| graph.contains_key(one)));
        }
        None
    }

    #[test]
    fn all_are_connected_within_few_hops_and_links_are_mutual() {
        for (count, most) in [(2, 1), (3, 1), (9, 2), (50, 4), (1000, 6)] {
            let all: Vec<u16> = (0..count).collect();
            let graph = graph(&all, |_, _| true);
            for (who, near) in &graph {
                assert!(near.len() <= 2 * RINGS && !near.contains(who));
                assert!(near.iter().all(|other| graph[other].contains(who)));
            }
            for from in 0..count.min(5) {
                assert!(hops(&graph, peer(from)).is_some_and(|hops| hops <= most), "{count} nodes");
            }
        }
    }

    #[test]
    fn survivors_of_any_failure_are_connected_again() {
        for share in [2, 3, 10] {
            let mut rings: Vec<(u16, Rings)> = (0..300).map(|who| (who, Rings::new(&peer(who)))).collect();
            for (who, ring) in &mut rings {
                let mut left: BTreeSet<u16> = (0..300).filter(|other| other != who).collect();
                left.iter().for_each(|other| ring.add(&peer(*other)));
                for gone in (0..300).filter(|other| other % share != 0) {
                    left.remove(&gone);
                    ring.remove(&peer(gone), left.iter().map(|other| peer(*other)));
                }
            }
            let alive = rings.iter().filter(|(who, _)| who % share == 0);
            let graph: BTreeMap<_, _> = alive.map(|(who, ring)| (peer(*who), ring.near())).collect();
            assert!(hops(&graph, peer(0)).is_some_and(|hops| hops <= 6));
        }
    }

    #[test]
    fn neighbours_are_those_beside_us_going_round() {
        let others: BTreeSet<PeerId> = (1..100).map(peer).collect();
        let mut rings = Rings::new(&peer(0));
        others.iter().for_each(|one| rings.add(one));
        let beside = |ring: usize| {
            let mut all: Vec<Place> = others.iter().chain([&peer(0)]).map(|one| places(one)[ring]).collect();
            all.sort_unstable();
            let me = all.iter().position(|place| place.1 == peer(0)).unwrap();
            [all[(me + 1) % all.len()].1, all[(me + all.len() - 1) % all.len()].1]
        };
        assert_eq!(rings.near(), (0..RINGS).flat_map(beside).collect());
        rings.remove(&peer(1), std::iter::empty());
        let was_near = (0..RINGS).flat_map(beside).any(|near| near == peer(1));
        assert_eq!(rings.near().is_empty(), was_near, "only who stood beside us is searched for");
    }

    /// Each knows another half of the newest third.
    #[test]
    fn views_that_differ_leave_nobody_out_whom_some_know() {
        let all: Vec<u16> = (0..300).collect();
        let graph = graph(&all, |who, other| other < 200 || (who ^ other).count_ones() % 2 == 0);
        assert!((0..300).all(|from| hops(&graph, peer(from)).is_some()));
    }
}
