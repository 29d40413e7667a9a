//! Presence: which nodes are there, as membership sees it from here.
//!
//! Three questions with three answers. May a node keep and get work? Yes, until it has been silent for long enough
//! that its work is to be placed anew. May requests be sent to it? Only while it answers. Who is it? Its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fabric::net::{Event, Liveness, Peer, PeerId, Standing};
use types::{NodeName, PublicKey};

use crate::tunnel::Site;

/// Who is there; cheap to clone, one state.
#[derive(Debug, Clone)]
pub(crate) struct Presence(Arc<RwLock<State>>);

#[derive(Debug)]
struct State {
    members: Liveness,
    /// The overlay's form of the members' keys: to make one takes as long as a tenth of a signature's check.
    keys: BTreeMap<PeerId, PublicKey>,
}

impl State {
    fn public(&self, peer: PeerId) -> Option<PublicKey> {
        self.keys.get(&peer).copied().or_else(|| PublicKey::from_bytes(peer.as_bytes()).ok())
    }
}

impl Presence {
    /// The nodes of this process, alone. With `awaited`, others that the records name keep their work until
    /// [`Presence::settle`] says that they had time enough to be heard.
    pub(crate) fn new(own: BTreeSet<NodeName>, awaited: bool) -> Self {
        let members = Liveness::new(own, awaited);
        Self(Arc::new(RwLock::new(State { members, keys: BTreeMap::new() })))
    }

    /// Whether a node keeps its work and may get more.
    pub(crate) fn takes_work(&self, node: &NodeName) -> bool {
        self.read().members.takes_work(node)
    }

    /// Whether a node runs in this process.
    pub(crate) fn is_own(&self, node: &NodeName) -> bool {
        self.read().members.is_own(node)
    }

    /// Where a node is, for requests: while it answers.
    pub(crate) fn site(&self, node: &NodeName) -> Site {
        let state = self.read();
        if state.members.is_own(node) {
            return Site::Here;
        }
        match state.members.key(node).and_then(|peer| state.public(peer)) {
            Some(key) if state.members.gets_requests(node) => Site::There(key),
            _ => Site::Nowhere,
        }
    }

    /// The key of a node that doesn't answer now, but may have said that it would be away: silent, or gone of its own will.
    pub(crate) fn away(&self, node: &NodeName) -> Option<PublicKey> {
        let state = self.read();
        let away = matches!(state.members.standing(node), Some(Standing::Silent | Standing::Left));
        state.members.key(node).filter(|_| away).and_then(|peer| state.public(peer))
    }

    /// How another node stands; `None` for one that was not heard of since the start.
    pub(crate) fn standing(&self, node: &NodeName) -> Option<Standing> {
        self.read().members.standing(node)
    }

    /// How a node stands, in a word.
    pub(crate) fn state(&self, node: &NodeName) -> &'static str {
        let standing = if self.is_own(node) { Some(Standing::Here) } else { self.standing(node) };
        standing.map_or("unknown", Standing::as_str)
    }

    /// The key under which another node was heard of last.
    pub(super) fn key(&self, node: &NodeName) -> Option<PublicKey> {
        let state = self.read();
        state.members.key(node).and_then(|peer| state.public(peer))
    }

    /// These were in the mesh when this process began; what is known of them since counts more.
    pub(super) fn expect(&self, nodes: impl IntoIterator<Item = (NodeName, PublicKey)>) {
        let mut state = self.write();
        for (name, key) in nodes {
            state.keys.insert(key.into(), key);
            state.members.expect(name, key.into());
        }
    }

    /// Forgets the nodes with these keys; which of them were known.
    pub(super) fn shut_out(&self, keys: &BTreeSet<PublicKey>) -> Vec<NodeName> {
        let mut state = self.write();
        for key in keys {
            state.keys.remove(&(*key).into());
        }
        keys.iter().filter_map(|key| state.members.forget(&(*key).into())).collect()
    }

    /// The name under which a member was heard of.
    pub(super) fn name(&self, peer: &PeerId) -> Option<NodeName> {
        self.read().members.name(peer).cloned()
    }

    /// How many of those that were here before were not heard of yet.
    pub(crate) fn expected(&self) -> usize {
        self.read().members.expected()
    }

    /// The keys of those that answer.
    pub(crate) fn here(&self) -> Vec<PublicKey> {
        let state = self.read();
        state.members.here().filter_map(|peer| state.public(peer)).collect()
    }

    /// Whether the member with this key answers.
    pub(super) fn is_here(&self, key: &PublicKey) -> bool {
        let (state, id) = (self.read(), PeerId::from(*key));
        let holder = state.members.name(&id).filter(|name| state.members.key(name) == Some(id));
        holder.and_then(|name| state.members.standing(name)) == Some(Standing::Here)
    }

    /// The overlay's form of a member's key; `None` if nobody can have it.
    pub(super) fn public(&self, peer: PeerId) -> Option<PublicKey> {
        self.read().public(peer)
    }

    /// Takes note of what happened to a member: which node now stands otherwise than before, and how.
    pub(super) fn note(&self, event: &Event) -> Option<(NodeName, Standing)> {
        let mut state = self.write();
        if let Event::Up(Peer { id, .. }) = event
            && let Some(key) = state.public(*id)
        {
            state.keys.insert(*id, key);
        }
        state.members.note(event)
    }

    /// Whoever was not heard of by now is dead.
    pub(super) fn settle(&self) {
        self.write().members.settle();
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
