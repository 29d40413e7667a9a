//! Spores that this node is to run and doesn't have are fetched from those that do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agent::{Arrivals, Planner};
use fabric::{Fabric, View};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyphae::Overlay;
use repo::exchange::{Exchange, FetchError, Fetched, Holders};
use types::{Digest, NodeName, PublicKey};

use crate::presence::Presence;
use crate::quarantine::Handler;

/// How long after a fetch that failed it is tried again, if nothing changes before.
const RETRY: Duration = Duration::from_secs(10);

/// On so many nodes every spore that a plan names is held: as many as a record is safe on.
const KEEPERS: usize = 3;

/// What it takes to fetch.
pub(crate) struct Fetcher {
    pub(crate) node: NodeName,
    pub(crate) fabric: Fabric,
    pub(crate) planner: Arc<Planner>,
    pub(crate) presence: Presence,
    pub(crate) exchange: Exchange,
    pub(crate) overlay: Overlay,
    /// Who is told of spores.
    pub(crate) arrivals: Vec<Arrivals>,
    pub(crate) handler: Handler,
}

/// Which spores this node keeps, worked out once for a set of nodes: each asks for a hash a node.
#[derive(Default)]
struct Kept {
    among: Vec<NodeName>,
    ours: BTreeMap<Digest, bool>,
}

impl Fetcher {
    /// Fetches until it is dropped.
    pub(crate) async fn follow(self) {
        let mut changes = self.fabric.subscribe();
        let holders = self.holders();
        let mut fetches = FuturesUnordered::new();
        let mut told = BTreeSet::new();
        let mut kept = Kept::default();
        let mut under_way: BTreeMap<Digest, tokio::task::AbortHandle> = BTreeMap::new();
        loop {
            tokio::select! {
                _ = changes.changed() => {}
                Some((digest, fetched)) = fetches.next() => {
                    under_way.remove(&digest);
                    self.fetched(digest, fetched);
                }
                // Nothing may change while a holder comes back.
                () = tokio::time::sleep(RETRY) => {}
            }
            let version = self.fabric.view().version;
            let wanted = self.handler.work(|| self.wanted(&mut kept));
            self.handler.caught_up(version);
            // One whose spore has just arrived goes on to its end: it tells who waits for it.
            under_way.retain(|digest, task| {
                let still = wanted.contains(digest);
                if !still {
                    task.abort();
                }
                still
            });
            for digest in wanted {
                if under_way.contains_key(&digest) || self.exchange.repo().path(&digest).is_some() {
                    continue;
                }
                if told.insert(digest) {
                    tracing::info!(%digest, "fetching a spore from other nodes");
                }
                let (exchange, holders) = (self.exchange.clone(), Arc::clone(&holders));
                let task = tokio::spawn(async move { exchange.fetch(digest, holders).await });
                under_way.insert(digest, task.abort_handle());
                fetches.push(async move { (digest, task.await.ok()) });
            }
        }
    }

    fn fetched(&self, digest: Digest, fetched: Option<Result<Fetched, FetchError>>) {
        match fetched {
            Some(Ok(fetched)) => {
                let pieces: u32 = fetched.from.values().sum();
                let from = fetched.from.len();
                tracing::info!(%digest, bytes = fetched.bytes, pieces, from, "fetched a spore");
                for (peer, why) in &fetched.blamed {
                    tracing::warn!(peer = %peer.fingerprint(), "a node sent what isn't the spore: {why}");
                }
                self.arrivals.iter().for_each(|agent| agent.arrived(digest));
            }
            Some(Err(error)) => tracing::warn!("failed to {error}"),
            // It isn't wanted any more.
            None => {}
        }
    }

    /// What is to run here, of the release that is and of the one that is to come, and what this node is to keep for
    /// others.
    fn wanted(&self, kept: &mut Kept) -> BTreeSet<Digest> {
        let decided = self.planner.decided();
        let mut wanted = BTreeSet::new();
        for (name, app) in &decided.decision.apps {
            let here: Vec<u32> =
                app.slots.iter().filter(|(_, node)| **node == self.node).map(|(slot, _)| *slot).collect();
            if !here.is_empty() {
                wanted.extend(here.into_iter().map(|slot| app.release_of(slot).digest));
                wanted.extend(decided.view.plans.get(name).map(|plan| plan.value.release.digest));
            }
        }
        let alive: Vec<NodeName> =
            decided.view.nodes.keys().filter(|node| self.presence.takes_work(node)).cloned().collect();
        if kept.among != alive {
            *kept = Kept { among: alive, ours: BTreeMap::new() };
        }
        for plan in decided.view.plans.values() {
            let digest = plan.value.release.digest;
            let Kept { among, ours } = kept;
            let ours =
                ours.entry(digest).or_insert_with(|| keepers(&digest, among.iter()).contains(&&self.node));
            if *ours {
                wanted.insert(digest);
            }
        }
        wanted
    }

    /// Those that run it know it best; any other may have it all the same.
    fn holders(&self) -> Arc<dyn Holders> {
        let (fabric, presence) = (self.fabric.clone(), self.presence.clone());
        super::holders(self.overlay.clone(), move |digest| {
            let running = running(&fabric.view(), &presence, digest);
            let others: Vec<PublicKey> =
                presence.here().into_iter().filter(|key| !running.contains(key)).collect();
            running.into_iter().chain(others).collect()
        })
    }
}

/// The nodes that hold a spore though they may not run it, so that it outlives the one it was published on: those that
/// come first by the hash of both names (rendezvous hashing, Thaler and Ravishankar 1998).
fn keepers<'a>(digest: &Digest, nodes: impl Iterator<Item = &'a NodeName>) -> Vec<&'a NodeName> {
    let place =
        |node: &NodeName| Digest::of(&[digest.as_bytes().as_slice(), node.as_str().as_bytes()].concat());
    let mut ranked: Vec<(Digest, &NodeName)> = nodes.map(|node| (place(node), node)).collect();
    ranked.sort_unstable();
    ranked.into_iter().take(KEEPERS).map(|(_, node)| node).collect()
}

/// The nodes that answer and run a replica of a spore.
fn running(view: &View, presence: &Presence, digest: &Digest) -> Vec<PublicKey> {
    let on = view.endpoints().filter(|endpoint| endpoint.digest == *digest);
    let keys: BTreeSet<PublicKey> = on
        .filter_map(|endpoint| match presence.site(&endpoint.node_id) {
            crate::tunnel::Site::There(key) => Some(key),
            _ => None,
        })
        .collect();
    keys.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spore_is_kept_by_three_and_a_node_that_goes_changes_one_of_them() {
        let nodes: Vec<NodeName> = (0..20).map(|n| NodeName::new(&format!("n{n}")).unwrap()).collect();
        for text in ["a", "b", "c"] {
            let digest = Digest::of(text.as_bytes());
            let all = keepers(&digest, nodes.iter());
            assert_eq!(all.len(), 3);
            let without = keepers(&digest, nodes.iter().filter(|node| *node != all[1]));
            assert_eq!((without[0], without[1]), (all[0], all[2]));
        }
        assert_eq!(keepers(&Digest::of(b"a"), nodes[..2].iter()).len(), 2);
    }
}
