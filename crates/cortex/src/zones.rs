//! Zones: what fails together (a rack, a site), as the nodes' label `zone` says. A mesh without such labels is one.

use std::collections::BTreeMap;

use genome::Node;

/// The label that names a node's zone; nodes without it are a zone of their own.
const LABEL: &str = "zone";

/// The zones, by numbers in the order of their names, and the nodes by their places.
pub(crate) struct Zones {
    of: Vec<usize>,
    members: Vec<Vec<usize>>,
}

impl Zones {
    pub(crate) fn new<'a>(nodes: impl Iterator<Item = &'a Node>) -> Self {
        let names: Vec<Option<&str>> = nodes.map(|node| node.labels.get(LABEL).map(String::as_str)).collect();
        let mut members: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            members.entry(*name).or_default().push(place);
        }
        let mut of = vec![0; names.len()];
        for (zone, places) in members.values().enumerate() {
            places.iter().for_each(|place| of[*place] = zone);
        }
        Self { of, members: members.into_values().collect() }
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.members.len()
    }

    /// The zone of a node.
    pub(crate) fn of(&self, place: usize) -> usize {
        self.of[place]
    }

    /// The nodes of a zone.
    pub(crate) fn nodes(&self, zone: usize) -> &[usize] {
        &self.members[zone]
    }

    /// The nodes of each zone.
    pub(crate) fn all(&self) -> impl Iterator<Item = &[usize]> {
        self.members.iter().map(Vec::as_slice)
    }
}
