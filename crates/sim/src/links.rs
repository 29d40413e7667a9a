//! Links: what becomes of a message on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fabric::net::Class;
use rand::RngExt as _;
use rand::rngs::StdRng;

/// A lost packet of a reliable message is sent again after this.
const AGAIN: Duration = Duration::from_millis(20);

/// How all links are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// The share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// The share of datagrams that come twice.
    pub doubled: f64,
    /// The quickest and the slowest packet; differences reorder datagrams.
    pub delay: (Duration, Duration),
}

impl Weather {
    /// 1 to 5 ms, and so much loss.
    #[must_use]
    pub const fn lan(loss: f64) -> Self {
        Self { loss, doubled: 0.0, delay: (Duration::from_millis(1), Duration::from_millis(5)) }
    }
}

pub(crate) struct Links {
    pub(crate) weather: Weather,
    /// Parts that don't reach each other: the part of each node.
    parts: Vec<u8>,
    /// Ways that are cut one way: from, to.
    one_way: BTreeSet<(usize, usize)>,
    /// When the last reliable message of a pair arrives.
    last: BTreeMap<(usize, usize), Duration>,
}

impl Links {
    pub(crate) fn new(nodes: usize, weather: Weather) -> Self {
        Self { weather, parts: vec![0; nodes], one_way: BTreeSet::new(), last: BTreeMap::new() }
    }

    pub(crate) fn is_open(&self, from: usize, to: usize) -> bool {
        self.parts[from] == self.parts[to] && !self.one_way.contains(&(from, to))
    }

    pub(crate) fn split(&mut self, parts: Vec<u8>) {
        self.parts = parts;
    }

    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.one_way.insert((from, to));
    }

    pub(crate) fn heal(&mut self) {
        self.parts.fill(0);
        self.one_way.clear();
    }

    /// When a message arrives: never, once or twice.
    pub(crate) fn carry(
        &mut self,
        from: usize,
        to: usize,
        class: Class,
        now: Duration,
        rng: &mut StdRng,
    ) -> Vec<Duration> {
        let Weather { loss, doubled, delay: (quickest, slowest) } = self.weather;
        let one = |rng: &mut StdRng| now + rng.random_range(quickest..=slowest);
        if class == Class::Reliable {
            let mut at = one(rng);
            while rng.random_bool(loss) {
                at += AGAIN;
            }
            let last = self.last.entry((from, to)).or_default();
            at = at.max(*last);
            *last = at;
            return vec![at];
        }
        if rng.random_bool(loss) {
            return Vec::new();
        }
        let mut all = vec![one(rng)];
        if doubled > 0.0 && rng.random_bool(doubled) {
            all.push(one(rng));
        }
        all
    }
}
