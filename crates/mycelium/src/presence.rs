//! Presence: which nodes are there, as membership sees it from here.
//!
//! Three questions with three answers. May a node keep and get work? Yes, until it has been silent for long enough
//! that its work is to be placed anew. May requests be sent to it? Only while it answers. Who is it? Its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use types::{NodeName, PublicKey};

use crate::tunnel::Site;

/// How another node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was here before this process was, and had no time to be heard yet.
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

impl Standing {
    /// The word that people read.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "unknown",
            Self::Here => "here",
            Self::Silent => "silent",
            Self::Dead => "dead",
            Self::Left => "left",
        }
    }
}

/// Who is there; cheap to clone, one state.
#[derive(Debug, Clone)]
pub(crate) struct Presence(Arc<RwLock<State>>);

#[derive(Debug)]
struct State {
    /// The nodes of this process.
    own: BTreeSet<NodeName>,
    others: BTreeMap<NodeName, (PublicKey, Standing)>,
    /// Whether nodes that were never heard of since the start may still turn up.
    awaited: bool,
}

impl Presence {
    /// The nodes of this process, alone. With `awaited`, others that the records name keep their work until
    /// [`Presence::settle`] says that they had time enough to be heard.
    pub(crate) fn new(own: BTreeSet<NodeName>, awaited: bool) -> Self {
        Self(Arc::new(RwLock::new(State { own, others: BTreeMap::new(), awaited })))
    }

    /// Whether a node keeps its work and may get more.
    pub(crate) fn takes_work(&self, node: &NodeName) -> bool {
        let state = self.read();
        state.own.contains(node)
            || match state.others.get(node) {
                Some((_, standing)) => !matches!(standing, Standing::Dead | Standing::Left),
                None => state.awaited,
            }
    }

    /// Whether a node runs in this process.
    pub(crate) fn is_own(&self, node: &NodeName) -> bool {
        self.read().own.contains(node)
    }

    /// Where a node is, for requests: while it answers, or may.
    pub(crate) fn site(&self, node: &NodeName) -> Site {
        let state = self.read();
        match state.others.get(node) {
            _ if state.own.contains(node) => Site::Here,
            Some((key, Standing::Here | Standing::Expected)) => Site::There(*key),
            _ => Site::Nowhere,
        }
    }

    /// How another node stands; `None` for one that was not heard of since the start.
    pub(crate) fn standing(&self, node: &NodeName) -> Option<Standing> {
        self.read().others.get(node).map(|(_, standing)| *standing)
    }

    /// How a node stands, in a word.
    pub(crate) fn state(&self, node: &NodeName) -> &'static str {
        let standing = if self.is_own(node) { Some(Standing::Here) } else { self.standing(node) };
        standing.map_or("unknown", Standing::as_str)
    }

    /// The keys of those that answer.
    pub(crate) fn here(&self) -> Vec<PublicKey> {
        let state = self.read();
        let here = state.others.values().filter(|(_, standing)| *standing == Standing::Here);
        here.map(|(key, _)| *key).collect()
    }

    /// These were in the mesh when this process began; what is known of them since counts more.
    pub(crate) fn expect(&self, nodes: impl IntoIterator<Item = (NodeName, PublicKey)>) {
        let mut state = self.write();
        for (name, key) in nodes {
            if !state.own.contains(&name) {
                state.others.entry(name).or_insert((key, Standing::Expected));
            }
        }
    }

    pub(super) fn note(&self, node: NodeName, key: PublicKey, standing: Standing) {
        self.write().others.insert(node, (key, standing));
    }

    /// Forgets the nodes with these keys; which of them were here.
    pub(super) fn shut_out(&self, keys: &BTreeSet<PublicKey>) -> Vec<NodeName> {
        let mut state = self.write();
        let gone = state.others.extract_if(.., |_, (key, _)| keys.contains(key));
        gone.map(|(name, _)| name).collect()
    }

    /// Whoever was not heard of by now is dead.
    pub(super) fn settle(&self) {
        let mut state = self.write();
        state.awaited = false;
        for (_, standing) in state.others.values_mut().filter(|(_, s)| *s == Standing::Expected) {
            *standing = Standing::Dead;
        }
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
        presence.note(name("b"), key, Standing::Here);
        assert!(presence.takes_work(&name("b")) && presence.site(&name("b")) != Site::Nowhere);
        presence.note(name("b"), key, Standing::Silent);
        assert!(presence.takes_work(&name("b")) && presence.site(&name("b")) == Site::Nowhere);
        for gone in [Standing::Dead, Standing::Left] {
            presence.note(name("b"), key, gone);
            assert!(!presence.takes_work(&name("b")) && presence.site(&name("b")) == Site::Nowhere);
        }
        presence.expect([(name("a"), key), (name("b"), key), (name("c"), key)]);
        assert!(presence.site(&name("a")) == Site::Here && presence.site(&name("b")) == Site::Nowhere);
        assert!(presence.takes_work(&name("c")) && presence.site(&name("c")) == Site::There(key));
        presence.settle();
        for gone in ["c", "d"] {
            assert!(!presence.takes_work(&name(gone)) && presence.site(&name(gone)) == Site::Nowhere);
        }
    }
}
