//! The ring of consistent hashing: each node stands at many points of it, a replica walks from its own.
//!
//! Walking on past nodes that are full is consistent hashing with bounded loads (Mirrokni, Thorup,
//! Zadimoghaddam, 2016): a node that comes or goes changes where few replicas end.

use sha2::{Digest as _, Sha256};
use types::NodeName;

/// Points of one node: shares of the ring then differ by about a fifth.
const POINTS: u32 = 32;

/// All nodes, in the order of their points.
pub(crate) struct Ring(Vec<(u64, usize)>);

impl Ring {
    /// A ring of nodes, which are called by their place in `nodes`.
    pub(crate) fn new<'a>(nodes: impl Iterator<Item = &'a NodeName>) -> Self {
        let mut points: Vec<(u64, usize)> = nodes
            .enumerate()
            .flat_map(|(index, node)| {
                let seed = hash(node.as_str());
                (0..POINTS).map(move |point| (mix(seed ^ mix(u64::from(point) + 1)), index))
            })
            .collect();
        points.sort_unstable();
        Self(points)
    }

    /// The nodes as they come from `point` on, each as often as it has points.
    pub(crate) fn walk(&self, point: u64) -> impl Iterator<Item = usize> {
        let start = self.0.partition_point(|(at, _)| *at < point);
        self.0[start..].iter().chain(&self.0[..start]).map(|(_, node)| *node)
    }
}

/// Where the replica that fills `slot` of an app stands; `app` is [`hash`] of its name.
pub(crate) fn point(app: u64, slot: u32) -> u64 {
    mix(app ^ mix(u64::from(slot) + 1))
}

/// How far a node is from a point, for choices between few nodes: no two points order the nodes alike.
pub(crate) fn distance(point: u64, node: &NodeName) -> u64 {
    mix(point ^ hash(node.as_str()))
}

/// A hash of a name that is the same on every machine.
pub(crate) fn hash(name: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(name).into();
    digest[..8].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood, 2014): spreads every bit over all.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
