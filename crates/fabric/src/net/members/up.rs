//! Up: who is here, in the order of their keys, with what the list sums up to.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use types::Digest;

use crate::net::envelope::MAX_BUCKETS;
use crate::net::peer::{Peer, PeerId};

/// Found by its key, which it holds already: of ten thousand members a second copy of each key is much.
struct Held(Peer);

pub(in crate::net) struct Up {
    peers: BTreeSet<Held>,
    /// What the members of each bucket add to a digest, taken together.
    sums: [u64; MAX_BUCKETS],
}

impl Up {
    pub(super) const fn new() -> Self {
        Self { peers: BTreeSet::new(), sums: [0; MAX_BUCKETS] }
    }

    pub(in crate::net) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(in crate::net) fn get(&self, id: &PeerId) -> Option<&Peer> {
        self.peers.get(id).map(|held| &held.0)
    }

    pub(in crate::net) fn peers(&self) -> impl ExactSizeIterator<Item = &Peer> {
        self.peers.iter().map(|held| &held.0)
    }

    pub(in crate::net) fn ids(&self) -> impl ExactSizeIterator<Item = PeerId> {
        self.peers().map(|peer| peer.id)
    }

    pub(super) fn insert(&mut self, peer: Peer) {
        self.weigh(&peer);
        if let Some(Held(before)) = self.peers.replace(Held(peer)) {
            self.weigh(&before);
        }
    }

    pub(super) fn remove(&mut self, id: &PeerId) {
        if let Some(Held(peer)) = self.peers.take(id) {
            self.weigh(&peer);
        }
    }

    /// The sums of so many buckets, `me` included.
    pub(super) fn sums(&self, count: usize, me: Option<&Peer>) -> Vec<u64> {
        let mut sums: Vec<u64> = self.sums.chunks(MAX_BUCKETS / count).map(taken_together).collect();
        if let Some(me) = me {
            sums[usize::from(bucket(&me.id, count))] ^= weight(me);
        }
        sums
    }

    /// Adds what a member adds, or takes it away again.
    fn weigh(&mut self, peer: &Peer) {
        self.sums[usize::from(bucket(&peer.id, MAX_BUCKETS))] ^= weight(peer);
    }
}

fn taken_together(sums: &[u64]) -> u64 {
    sums.iter().fold(0, |all, one| all ^ one)
}

/// The first bits of the key.
pub(super) fn bucket(id: &PeerId, count: usize) -> u8 {
    let bits = count.trailing_zeros();
    u8::try_from(u32::from(id.as_bytes()[0]) >> (8 - bits)).expect("a byte, shifted right")
}

/// What a member adds to a digest of the list.
fn weight(peer: &Peer) -> u64 {
    let mut bytes = Vec::with_capacity(40);
    peer.put_short(&mut bytes);
    let [a, b, c, d, e, f, g, h, ..] = *Digest::of(&bytes).as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

impl Borrow<PeerId> for Held {
    fn borrow(&self) -> &PeerId {
        &self.0.id
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for Held {}

impl PartialOrd for Held {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Held {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.id.cmp(&other.0.id)
    }
}

#[cfg(test)]
mod tests {
    use types::NodeName;

    use super::*;

    fn peer(number: u8, generation: u64) -> Peer {
        let id = PeerId::from_bytes(*Digest::of(&[number]).as_bytes());
        Peer::new(id, generation, NodeName::new("node").unwrap(), Vec::new())
    }

    #[test]
    fn sums_follow_whoever_comes_changes_and_goes() {
        let (mut one, mut other) = (Up::new(), Up::new());
        (0..200).for_each(|number| one.insert(peer(number, 1)));
        (0..200).for_each(|number| one.insert(peer(number, 2)));
        (0..50).for_each(|number| one.remove(&peer(number, 2).id));
        (50..199).rev().for_each(|number| other.insert(peer(number, 2)));
        for count in [1, 2, 64, 128] {
            let me = peer(199, 2);
            let alike = one.sums(count, None) == other.sums(count, Some(&me));
            assert!(alike && one.sums(count, None).len() == count, "{count}");
            assert_ne!(one.sums(count, None), other.sums(count, None));
        }
        assert!(one.ids().is_sorted() && one.len() == 150 && one.get(&peer(7, 2).id).is_none());
    }
}
