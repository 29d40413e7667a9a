//! Liveness: who takes work and who gets requests, as membership tells it. One rule for whoever drives a [`Net`].
//!
//! | a node is | it takes work | it gets requests |
//! |---|---|---|
//! | of this process, or here | yes | yes |
//! | silent | yes: it may only be held up | no |
//! | dead (silent for 5 s), or said goodbye | no: what it ran is placed anew | no |
//! | not heard of yet, in our first 10 s | yes: else who starts would take everything upon itself | no |
//! | not heard of later | no | no |
//!
//! Whether a node exists at all its record says; operators may say as well that it gets no more work.
//!
//! [`Net`]: super::Net

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use types::NodeName;

use super::output::Event;
use super::peer::PeerId;

/// How another node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It was in the mesh before this process began, and had no time to be heard yet.
    Expected,
    /// It answers.
    Here,
    /// It has just fallen silent: it gets no requests, and keeps its work for the moment.
    Silent,
    /// It has been silent for so long that its work is placed anew.
    Dead,
    /// It said goodbye.
    Left,
}

/// What is known of the nodes of a mesh, by their names.
#[derive(Debug, Clone)]
pub struct Liveness {
    /// The nodes of this process.
    own: BTreeSet<NodeName>,
    names: BTreeMap<PeerId, NodeName>,
    others: BTreeMap<NodeName, (PeerId, Standing)>,
    /// Whether nodes that were never heard of since the start may still turn up.
    awaited: bool,
}

impl Liveness {
    /// How long after the start a node that was not heard of counts as dead: time to find one peer, and to hear its
    /// list, which takes 5 s in a large mesh.
    pub const AWAITED: Duration = Duration::from_secs(10);

    /// The nodes of this process, alone. With `awaited`, others that the records name keep their work until
    /// [`Liveness::settle`] says that they had time enough to be heard.
    #[must_use]
    pub const fn new(own: BTreeSet<NodeName>, awaited: bool) -> Self {
        Self { own, names: BTreeMap::new(), others: BTreeMap::new(), awaited }
    }

    /// Takes note of what happened to a member: which node now stands otherwise than before, and how.
    pub fn note(&mut self, event: &Event) -> Option<(NodeName, Standing)> {
        let (id, standing) = match event {
            Event::Up(peer) => {
                let name = peer.name()?.clone();
                self.names.insert(peer.id, name.clone());
                let before = self.others.insert(name.clone(), (peer.id, Standing::Here));
                let known = before == Some((peer.id, Standing::Here));
                return (!known).then_some((name, Standing::Here));
            }
            Event::Down(id) => (id, Standing::Silent),
            Event::Dead(id) => (id, Standing::Dead),
            Event::Left(id) => (id, Standing::Left),
        };
        let name = self.names.get(id)?;
        // a key that no longer holds its name says nothing of the one that does
        let held = self.others.get_mut(name).filter(|(holder, _)| holder == id)?;
        let before = std::mem::replace(&mut held.1, standing);
        (before != standing).then(|| (name.clone(), standing))
    }

    /// This node was in the mesh before this process began; what was heard of it since counts more.
    pub fn expect(&mut self, node: NodeName, key: PeerId) {
        if self.own.contains(&node) || self.others.contains_key(&node) {
            return;
        }
        self.names.insert(key, node.clone());
        self.others.insert(node, (key, Standing::Expected));
    }

    /// Forgets whoever has this key; the name it had.
    pub fn forget(&mut self, key: &PeerId) -> Option<NodeName> {
        let name = self.names.remove(key)?;
        self.others.remove(&name);
        Some(name)
    }

    /// Whoever was not heard of by now is dead; to be called [`Liveness::AWAITED`] after the start.
    pub fn settle(&mut self) {
        self.awaited = false;
        for (_, standing) in self.others.values_mut().filter(|(_, standing)| *standing == Standing::Expected)
        {
            *standing = Standing::Dead;
        }
    }

    /// Whether a node that has a record keeps its work and may get more.
    #[must_use]
    pub fn takes_work(&self, node: &NodeName) -> bool {
        self.is_own(node)
            || match self.standing(node) {
                Some(standing) => !matches!(standing, Standing::Dead | Standing::Left),
                None => self.awaited,
            }
    }

    /// Whether requests are sent to a node's replicas: while it answers.
    #[must_use]
    pub fn gets_requests(&self, node: &NodeName) -> bool {
        self.is_own(node) || self.standing(node) == Some(Standing::Here)
    }

    /// Whether a node runs in this process.
    #[must_use]
    pub fn is_own(&self, node: &NodeName) -> bool {
        self.own.contains(node)
    }

    /// How another node stands; `None` for one that was not heard of since the start.
    #[must_use]
    pub fn standing(&self, node: &NodeName) -> Option<Standing> {
        self.others.get(node).map(|(_, standing)| *standing)
    }

    /// The name under which a member was heard of.
    #[must_use]
    pub fn name(&self, peer: &PeerId) -> Option<&NodeName> {
        self.names.get(peer)
    }

    /// The key under which another node was heard of last.
    #[must_use]
    pub fn key(&self, node: &NodeName) -> Option<PeerId> {
        self.others.get(node).map(|(key, _)| *key)
    }

    /// How many of those that were expected were not heard of yet.
    #[must_use]
    pub fn expected(&self) -> usize {
        self.others.values().filter(|(_, standing)| *standing == Standing::Expected).count()
    }

    /// The keys of those that answer.
    pub fn here(&self) -> impl Iterator<Item = PeerId> {
        let here = self.others.values().filter(|(_, standing)| *standing == Standing::Here);
        here.map(|(key, _)| *key)
    }
}

impl Standing {
    /// The word that people read.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "unknown",
            Self::Here => "here",
            Self::Silent => "silent",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Peer;

    fn name(number: u8) -> NodeName {
        NodeName::new(&format!("node-{number}")).unwrap()
    }

    const fn id(key: u8) -> PeerId {
        PeerId::from_bytes([key; 32])
    }

    fn up(key: u8, node: u8) -> Event {
        Event::Up(Peer::new(id(key), 1, name(node), Vec::new()))
    }

    fn of_node_1() -> Liveness {
        Liveness::new([name(1)].into(), true)
    }

    /// Of node 2: whether it takes work, and whether it gets requests.
    fn second(liveness: &Liveness) -> (bool, bool) {
        (liveness.takes_work(&name(2)), liveness.gets_requests(&name(2)))
    }

    #[test]
    fn a_death_takes_requests_at_once_and_work_once_it_is_sure() {
        let mut liveness = of_node_1();
        assert_eq!(liveness.note(&up(2, 2)), Some((name(2), Standing::Here)));
        assert_eq!(liveness.note(&up(2, 2)), None);
        assert_eq!(liveness.note(&Event::Down(id(2))), Some((name(2), Standing::Silent)));
        assert_eq!(second(&liveness), (true, false));
        assert_eq!(liveness.note(&Event::Dead(id(2))), Some((name(2), Standing::Dead)));
        assert_eq!(second(&liveness), (false, false), "known to be gone, although others are still awaited");
        liveness.note(&up(2, 2));
        assert_eq!(second(&liveness), (true, true));
        assert_eq!(liveness.here().collect::<Vec<_>>(), [id(2)]);
        assert_eq!(liveness.note(&Event::Left(id(2))), Some((name(2), Standing::Left)));
        assert_eq!(second(&liveness), (false, false));
        assert!(liveness.takes_work(&name(1)) && liveness.gets_requests(&name(1)));
    }

    #[test]
    fn who_starts_leaves_the_others_their_work_for_a_while() {
        let mut liveness = of_node_1();
        assert_eq!(second(&liveness), (true, false));
        liveness.settle();
        assert_eq!(second(&liveness), (false, false));
        liveness.note(&up(2, 2));
        assert_eq!(second(&liveness), (true, true));
    }

    #[test]
    fn the_end_of_an_old_key_is_not_that_of_its_name() {
        let mut liveness = of_node_1();
        liveness.note(&up(2, 2));
        assert_eq!(liveness.note(&up(3, 2)), Some((name(2), Standing::Here)), "it has moved");
        assert_eq!(liveness.note(&Event::Down(id(2))), None);
        assert_eq!(liveness.note(&Event::Dead(id(2))), None);
        assert_eq!((second(&liveness), liveness.key(&name(2))), ((true, true), Some(id(3))));
    }
}
