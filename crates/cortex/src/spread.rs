//! Spread: how many replicas of one app each node and each zone has.

use std::collections::{BTreeMap, BTreeSet};

use crate::zones::Zones;

/// Counts of one app's replicas. Most nodes have none: only those that have some take memory.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    nodes: Count,
    zones: Count,
}

/// A count for each node, or each zone.
#[derive(Debug, Default)]
struct Count(BTreeMap<usize, u32>);

impl Count {
    fn of(&self, which: usize) -> u32 {
        self.0.get(&which).copied().unwrap_or(0)
    }

    fn add(&mut self, which: usize) {
        *self.0.entry(which).or_insert(0) += 1;
    }

    fn remove(&mut self, which: usize) {
        if let Some(count) = self.0.get_mut(&which) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&which);
            }
        }
    }

    fn most(&self) -> u32 {
        self.0.values().max().copied().unwrap_or(0)
    }
}

impl Spread {
    pub(crate) fn add(&mut self, place: usize, zone: usize) {
        self.nodes.add(place);
        self.zones.add(zone);
    }

    pub(crate) fn remove(&mut self, place: usize, zone: usize) {
        self.nodes.remove(place);
        self.zones.remove(zone);
    }

    pub(crate) fn node(&self, place: usize) -> u32 {
        self.nodes.of(place)
    }

    pub(crate) fn zone(&self, zone: usize) -> u32 {
        self.zones.of(zone)
    }

    /// How many the deepest node has.
    pub(crate) fn most_of_a_node(&self) -> u32 {
        self.nodes.most()
    }

    /// How many the deepest zone has.
    pub(crate) fn most_of_a_zone(&self) -> u32 {
        self.zones.most()
    }

    /// How many the shallowest has of the zones that aren't `closed`; nothing when all are.
    pub(crate) fn least_of_a_zone(&self, zones: &Zones, closed: &BTreeSet<usize>) -> Option<u32> {
        let open: Vec<u32> =
            self.zones.0.iter().filter(|(zone, _)| !closed.contains(zone)).map(|(_, count)| *count).collect();
        match zones.len() - closed.len() {
            0 => None,
            all if open.len() < all => Some(0),
            _ => open.into_iter().min(),
        }
    }
}

/// What is settled while slots are filled, and where it can't get better any more: so that a walk past all
/// nodes is needed only when the best that is left has got worse.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) spread: Spread,
    /// No node of such a zone that fits has fewer.
    least: BTreeMap<usize, u32>,
    /// No node of these zones fits.
    full: BTreeSet<usize>,
}

impl Settled {
    /// How many the zone and the node have: who has fewest gets the next one.
    pub(crate) fn depth(&self, place: usize, zone: usize) -> (u32, u32) {
        (self.spread.zone(zone), self.spread.node(place))
    }

    /// No node that fits is less deep than this; `closed` are zones without any that fits.
    pub(crate) fn bound(&self, zones: &Zones, closed: &BTreeSet<usize>) -> (u32, u32) {
        if zones.len() == 1 {
            return (self.spread.zone(0), self.least_in(0));
        }
        let is_open = |zone: &usize| !closed.contains(zone) && !self.full.contains(zone);
        let counts = &self.spread.zones.0;
        let taken = counts.iter().filter(|(zone, _)| is_open(zone));
        let taken: Vec<(u32, u32)> = taken.map(|(zone, count)| (*count, self.least_in(*zone))).collect();
        let shut = closed.len() + self.full.difference(closed).count();
        if taken.len() + shut < zones.len() {
            return (0, 0);
        }
        taken.into_iter().min().unwrap_or((u32::MAX, u32::MAX))
    }

    /// A walk past all nodes found nothing less deep than this.
    pub(crate) fn learn(&mut self, zones: &Zones, closed: &BTreeSet<usize>, found: (u32, u32)) {
        for zone in (0..zones.len()).filter(|zone| !closed.contains(zone)) {
            match self.spread.zone(zone) {
                count if count < found.0 => drop(self.full.insert(zone)),
                count if count == found.0 => drop(self.least.insert(zone, found.1)),
                _ => {}
            }
        }
    }

    fn least_in(&self, zone: usize) -> u32 {
        self.least.get(&zone).copied().unwrap_or(0)
    }
}
