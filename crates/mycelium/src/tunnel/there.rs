//! Replicas of other nodes, as this one knows them: one way to each, and which of them are about to leave.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use types::{PublicKey, Timestamp};

use super::Inner;
use super::absent::{Absence, Absent};
use super::far::Route;
use super::wire::News;

/// The ways to replicas of other nodes.
#[derive(Default)]
pub(super) struct There {
    routes: Mutex<BTreeMap<String, Arc<Route>>>,
    changes: watch::Sender<u64>,
    pub(super) absent: Absent,
}

impl There {
    /// The way to a replica: the same one as long as it is ready without a break.
    pub(super) fn reach(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        node: PublicKey,
        id: &str,
        since: Timestamp,
    ) -> Arc<Route> {
        let mut routes = self.lock();
        if let Some(route) = routes.get(id).filter(|route| route.leads_to(node)) {
            route.ready_since(since);
            return Arc::clone(route);
        }
        let route = Arc::new(Route::new(Arc::downgrade(inner), node, id.to_owned(), since));
        routes.insert(id.to_owned(), Arc::clone(&route));
        route
    }

    /// Forgets the other ways.
    pub(super) fn keep(&self, is_ready: impl Fn(&str) -> bool) {
        self.lock().retain(|id, _| is_ready(id));
    }

    /// Takes what a peer says about one of its replicas.
    pub(super) fn hear(&self, peer: PublicKey, message: &[u8]) {
        let (id, leaves) = match News::read(message) {
            Some(News::Leaves(id, leaves)) => (id, leaves),
            Some(News::Pauses) => return self.goes(peer, Absence::Pauses),
            None => return tracing::warn!(%peer, "a peer sent a message about a drain that is none"),
        };
        let route = self.lock().get(id).filter(|route| route.leads_to(peer)).cloned();
        if route.is_some_and(|route| route.leaves(leaves)) {
            self.stir();
        }
    }

    /// Notes that a node will be away.
    pub(super) fn goes(&self, node: PublicKey, how: Absence) {
        if self.absent.note(node, how) {
            self.renew(&node);
        }
    }

    /// Notes that a node is back.
    pub(super) fn comes(&self, node: &PublicKey) {
        if self.absent.is_back(node) {
            self.stir();
        }
    }

    /// Notes that a node takes tunnels.
    pub(super) fn serves(&self, node: &PublicKey) {
        if self.absent.serves(node) {
            self.stir();
        }
    }

    /// Makes the ways to a node's replicas new ones, so that tunnels which idle in a pool are let go of.
    pub(super) fn renew(&self, node: &PublicKey) {
        for route in self.lock().values_mut().filter(|route| route.leads_to(*node)) {
            *route = Arc::new(route.renewed());
        }
        self.stir();
    }

    /// Routes have to be made anew.
    pub(super) fn stir(&self) {
        self.changes.send_modify(|times| *times += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Route>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
