//! Presence: which nodes are there, as membership sees it from here.
//!
//! Three questions with three answers. May a node keep and get work? Yes, until it has been silent for long enough
//! that its work is to be placed anew. May requests be sent to it? Only while it answers. Who is it? Its key.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fabric::net::{Event, Liveness, PeerId, Standing};
use types::{NodeName, PublicKey};

use crate::tunnel::Site;

/// Who is there; cheap to clone, one state.
#[derive(Debug, Clone)]
pub(crate) struct Presence(Arc<RwLock<Liveness>>);

impl Presence {
    /// The nodes of this process, alone. With `awaited`, others that the records name keep their work until
    /// [`Presence::settle`] says that they had time enough to be heard.
    pub(crate) fn new(own: BTreeSet<NodeName>, awaited: bool) -> Self {
        Self(Arc::new(RwLock::new(Liveness::new(own, awaited))))
    }

    /// Whether a node keeps its work and may get more.
    pub(crate) fn takes_work(&self, node: &NodeName) -> bool {
        self.read().takes_work(node)
    }

    /// Whether a node runs in this process.
    pub(crate) fn is_own(&self, node: &NodeName) -> bool {
        self.read().is_own(node)
    }

    /// Where a node is, for requests: while it answers.
    pub(crate) fn site(&self, node: &NodeName) -> Site {
        let state = self.read();
        if state.is_own(node) {
            return Site::Here;
        }
        match state.key(node).and_then(public) {
            Some(key) if state.gets_requests(node) => Site::There(key),
            _ => Site::Nowhere,
        }
    }

    /// The key of a node that doesn't answer now, but may have said that it would be away: silent, or gone of its own will.
    pub(crate) fn away(&self, node: &NodeName) -> Option<PublicKey> {
        let state = self.read();
        let away = matches!(state.standing(node), Some(Standing::Silent | Standing::Left));
        state.key(node).filter(|_| away).and_then(public)
    }

    /// How another node stands; `None` for one that was not heard of since the start.
    pub(crate) fn standing(&self, node: &NodeName) -> Option<Standing> {
        self.read().standing(node)
    }

    /// How a node stands, in a word.
    pub(crate) fn state(&self, node: &NodeName) -> &'static str {
        let standing = if self.is_own(node) { Some(Standing::Here) } else { self.standing(node) };
        standing.map_or("unknown", Standing::as_str)
    }

    /// The key under which another node was heard of last.
    pub(super) fn key(&self, node: &NodeName) -> Option<PublicKey> {
        self.read().key(node).and_then(public)
    }

    /// These were in the mesh when this process began; what is known of them since counts more.
    pub(super) fn expect(&self, nodes: impl IntoIterator<Item = (NodeName, PublicKey)>) {
        let mut state = self.write();
        nodes.into_iter().for_each(|(name, key)| state.expect(name, key.into()));
    }

    /// Forgets the nodes with these keys; which of them were known.
    pub(super) fn shut_out(&self, keys: &BTreeSet<PublicKey>) -> Vec<NodeName> {
        let mut state = self.write();
        keys.iter().filter_map(|key| state.forget(&(*key).into())).collect()
    }

    /// The name under which a member was heard of.
    pub(super) fn name(&self, peer: &PeerId) -> Option<NodeName> {
        self.read().name(peer).cloned()
    }

    /// How many of those that were here before were not heard of yet.
    pub(crate) fn expected(&self) -> usize {
        self.read().expected()
    }

    /// The keys of those that answer.
    pub(crate) fn here(&self) -> Vec<PublicKey> {
        self.read().here().filter_map(public).collect()
    }

    /// Takes note of what happened to a member: which node now stands otherwise than before, and how.
    pub(super) fn note(&self, event: &Event) -> Option<(NodeName, Standing)> {
        self.write().note(event)
    }

    /// Whoever was not heard of by now is dead.
    pub(super) fn settle(&self) {
        self.write().settle();
    }

    fn read(&self) -> RwLockReadGuard<'_, Liveness> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Liveness> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The overlay's form of a member's key.
fn public(peer: PeerId) -> Option<PublicKey> {
    PublicKey::from_bytes(peer.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use fabric::net::Peer;

    fn name(text: &str) -> NodeName {
        NodeName::new(text).unwrap()
    }

    #[test]
    fn a_silent_node_keeps_its_work_and_gets_no_requests() {
        let key = soul::SecretKey::generate().unwrap();
        let key = types::Signer::public_key(&key);
        let presence = Presence::new(BTreeSet::from([name("a")]), true);
        assert!(presence.takes_work(&name("a")) && presence.site(&name("a")) != Site::Nowhere);
        assert!(
            presence.takes_work(&name("b")) && presence.site(&name("b")) == Site::Nowhere,
            "it had no time to be heard"
        );
        let id = PeerId::from(key);
        let up = Event::Up(Peer::new(id, 1, name("b"), Vec::new()));
        presence.note(&up);
        assert!(presence.takes_work(&name("b")) && presence.site(&name("b")) == Site::There(key));
        presence.note(&Event::Down(id));
        assert!(presence.takes_work(&name("b")) && presence.site(&name("b")) == Site::Nowhere);
        for gone in [Event::Dead(id), Event::Left(id)] {
            presence.note(&gone);
            assert!(!presence.takes_work(&name("b")) && presence.site(&name("b")) == Site::Nowhere);
        }
        presence.settle();
        assert!(!presence.takes_work(&name("c")), "it had time enough");
    }
}
