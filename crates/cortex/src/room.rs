//! Room: what each node can still be promised. Counts promises, never what is used.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use genome::{Constraint, Node};
use types::{NodeName, Nutrients};

use crate::zones::Zones;

/// What one replica of an app asks of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    /// What the labels of the node must be.
    pub labels: &'a BTreeMap<String, String>,
    /// What it is promised.
    pub each: Nutrients,
    /// The one port it must have on its host; 0 for any.
    pub port: u16,
}

/// Why a node can't take one more replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misfit<'a> {
    Drained,
    Label { asked: Constraint<'a>, has: Option<&'a str> },
    Cpu { free: u64 },
    Memory { free: u64 },
    Port,
}

/// The live nodes in the order of their names, called by their place in it.
pub(crate) struct Room<'a> {
    nodes: Vec<&'a Node>,
    places: BTreeMap<&'a NodeName, usize>,
    /// What is promised of each: more than it has, where what was learned grew.
    promised: Vec<Nutrients>,
    /// Those that get no new work.
    drained: Vec<bool>,
    /// The host of each node, by a number: nodes of one host share its ports.
    hosts: Vec<usize>,
    ports: BTreeSet<(usize, u16)>,
    zones: Zones,
}

impl<'a> Room<'a> {
    pub(crate) fn new(nodes: impl Iterator<Item = &'a Node>, drained: &BTreeSet<&NodeName>) -> Self {
        let nodes: BTreeMap<&NodeName, &Node> = nodes.map(|node| (&node.node_id, node)).collect();
        let mut numbers = BTreeMap::new();
        let hosts = nodes
            .values()
            .map(|node| {
                // A node that doesn't name its host has one of its own.
                let host = if node.host.is_empty() { Err(&node.node_id) } else { Ok(&node.host) };
                let next = numbers.len();
                *numbers.entry(host).or_insert(next)
            })
            .collect();
        Self {
            places: nodes.keys().enumerate().map(|(place, name)| (*name, place)).collect(),
            promised: vec![Nutrients::default(); nodes.len()],
            drained: nodes.keys().map(|name| drained.contains(name)).collect(),
            hosts,
            ports: BTreeSet::new(),
            zones: Zones::new(nodes.values().copied()),
            nodes: nodes.into_values().collect(),
        }
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'a NodeName> {
        self.nodes.iter().map(|node| &node.node_id)
    }

    /// What each node offers to new work.
    pub(crate) fn capacities(&self) -> impl Iterator<Item = Nutrients> {
        let offered =
            |(node, drained): (&&Node, &bool)| if *drained { Nutrients::default() } else { node.capacity };
        self.nodes.iter().zip(&self.drained).map(offered)
    }

    /// The zone of a node.
    pub(crate) fn zone(&self, place: usize) -> usize {
        self.zones.of(place)
    }

    pub(crate) const fn zones(&self) -> &Zones {
        &self.zones
    }

    /// The zones without any node that may run what asks for these labels, free or not.
    pub(crate) fn closed(&self, labels: &BTreeMap<String, String>) -> Rc<BTreeSet<usize>> {
        let may = |place: &usize| !self.drained[*place] && self.broken(*place, labels).is_none();
        let zones = self.zones.all().enumerate();
        Rc::new(zones.filter(|(_, nodes)| !nodes.iter().any(may)).map(|(zone, _)| zone).collect())
    }

    pub(crate) fn is_drained(&self, place: usize) -> bool {
        self.drained[place]
    }

    pub(crate) fn is_one_host(&self, one: usize, other: usize) -> bool {
        self.hosts[one] == self.hosts[other]
    }

    pub(crate) fn name(&self, place: usize) -> &'a NodeName {
        &self.nodes[place].node_id
    }

    pub(crate) fn place(&self, node: &NodeName) -> Option<usize> {
        self.places.get(node).copied()
    }

    /// Whether a node can take one more replica.
    pub(crate) fn fits(&self, place: usize, ask: &Ask) -> bool {
        !self.drained[place] && self.holds(place, ask)
    }

    /// Whether a node has room for a replica that may run there already.
    pub(crate) fn holds(&self, place: usize, ask: &Ask) -> bool {
        let free = self.free(place);
        ask.each.cpu_milli <= free.cpu_milli
            && ask.each.memory_mb <= free.memory_mb
            && (ask.port == 0 || !self.ports.contains(&(self.hosts[place], ask.port)))
            && self.broken(place, ask.labels).is_none()
    }

    /// What a node lacks for one more replica, the thing hardest to change first.
    pub(crate) fn misfit<'b>(&'b self, place: usize, ask: &Ask<'b>) -> Option<Misfit<'b>> {
        let free = self.free(place);
        if let Some(asked) = self.broken(place, ask.labels) {
            let has = self.nodes[place].labels.get(asked.label()).map(String::as_str);
            return Some(Misfit::Label { asked, has });
        }
        if self.drained[place] {
            return Some(Misfit::Drained);
        }
        if ask.each.cpu_milli > free.cpu_milli {
            return Some(Misfit::Cpu { free: free.cpu_milli });
        }
        if ask.each.memory_mb > free.memory_mb {
            return Some(Misfit::Memory { free: free.memory_mb });
        }
        (ask.port != 0 && self.ports.contains(&(self.hosts[place], ask.port))).then_some(Misfit::Port)
    }

    pub(crate) fn take(&mut self, place: usize, ask: &Ask) {
        self.promise(place, ask.each);
        if ask.port != 0 {
            self.ports.insert((self.hosts[place], ask.port));
        }
    }

    /// Promises this much, whether a node has it or not.
    pub(crate) fn promise(&mut self, place: usize, much: Nutrients) {
        let promised = &mut self.promised[place];
        promised.cpu_milli = promised.cpu_milli.saturating_add(much.cpu_milli);
        promised.memory_mb = promised.memory_mb.saturating_add(much.memory_mb);
    }

    fn free(&self, place: usize) -> Nutrients {
        let (capacity, promised) = (self.nodes[place].capacity, self.promised[place]);
        Nutrients {
            cpu_milli: capacity.cpu_milli.saturating_sub(promised.cpu_milli),
            memory_mb: capacity.memory_mb.saturating_sub(promised.memory_mb),
        }
    }

    /// Undoes a [`Room::take`].
    pub(crate) fn give_back(&mut self, place: usize, ask: &Ask) {
        let promised = &mut self.promised[place];
        promised.cpu_milli = promised.cpu_milli.saturating_sub(ask.each.cpu_milli);
        promised.memory_mb = promised.memory_mb.saturating_sub(ask.each.memory_mb);
        self.ports.remove(&(self.hosts[place], ask.port));
    }

    /// Keeps a port for what listens on it already; whether nothing else did.
    pub(crate) fn reserve_port(&mut self, place: usize, port: u16) -> bool {
        port != 0 && self.ports.insert((self.hosts[place], port))
    }

    /// Undoes a [`Room::reserve_port`].
    pub(crate) fn release_port(&mut self, place: usize, port: u16) {
        self.ports.remove(&(self.hosts[place], port));
    }

    /// A constraint that a node doesn't meet.
    fn broken<'b>(&self, place: usize, asked: &'b BTreeMap<String, String>) -> Option<Constraint<'b>> {
        let labels = &self.nodes[place].labels;
        Constraint::all(asked).find(|constraint| !constraint.holds(labels))
    }
}
