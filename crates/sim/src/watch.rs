//! Watch: the invariants that must hold at every step, and those that must hold once a mesh is whole again.

use std::collections::{BTreeMap, BTreeSet};

use fabric::net::{Class, carried};
use fabric::{Core, Key, Rank, Receipt, Record};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use types::Digest;

use crate::node::Running;
use crate::world::World;

/// An invariant that didn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its name.
    pub invariant: &'static str,
    /// Where, and in which way.
    pub what: String,
}

/// What is remembered to judge by.
pub(crate) struct Watch {
    /// Every record that somebody with the right to it signed.
    signed: BTreeMap<Digest, Vec<u8>>,
    /// The highest record of each key that some node said is safe.
    acknowledged: BTreeMap<Key, Rank>,
    /// The highest of each key that a process has had.
    seen: Vec<BTreeMap<Key, Rank>>,
    pub(crate) broken: Option<Broken>,
}

impl Watch {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            signed: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            seen: vec![BTreeMap::new(); nodes],
            broken: None,
        }
    }

    pub(crate) fn signed(&mut self, record: &Record) {
        self.signed.insert(record.id(), record.encode());
    }

    /// Some record that was signed at some time.
    pub(crate) fn any(&self, rng: &mut StdRng) -> Option<Vec<u8>> {
        self.signed.values().choose(rng).cloned()
    }

    pub(crate) fn acknowledged(&mut self, record: &Record) {
        let rank = self.acknowledged.entry(record.key().clone()).or_insert(record.rank());
        *rank = record.rank().max(*rank);
    }

    /// A new process may have lost what wasn't synced.
    pub(crate) fn restarted(&mut self, node: usize) {
        self.seen[node].clear();
    }

    pub(crate) fn stored(&mut self, node: usize, receipt: &Receipt, core: &Core) {
        let Some(record) = core.get(&receipt.key) else {
            // it made room for the floor of a removal
            return;
        };
        if self.signed.get(&record.id()) != Some(&record.encode()) {
            self.fail("no unverified record anywhere", format!("node {node} stored {}", record.key()));
        }
        let rank = record.rank();
        let before = self.seen[node].insert(receipt.key.clone(), rank);
        if before.is_some_and(|before| before > rank) {
            self.fail("generations never go back", format!("node {node}, {}", receipt.key));
        }
    }

    pub(crate) fn sent(&mut self, node: usize, class: Class, bytes: &[u8]) {
        if bytes.len() > class.limit() {
            self.fail("messages are bounded", format!("node {node} sent {} bytes, {class:?}", bytes.len()));
        }
        for record in carried(bytes) {
            let known =
                Record::decode(&record).is_ok_and(|read| self.signed.get(&read.id()) == Some(&record));
            if !known {
                self.fail(
                    "no unverified record anywhere",
                    format!("node {node} sent one that nobody signed"),
                );
            }
        }
    }

    pub(crate) fn fail(&mut self, invariant: &'static str, what: String) {
        self.broken.get_or_insert(Broken { invariant, what });
    }
}

impl World {
    /// Those that run.
    pub(crate) fn all(&self) -> Vec<usize> {
        self.running().map(|(number, _)| number).collect()
    }

    fn of<'a>(&'a self, part: &'a [usize]) -> impl Iterator<Item = (usize, &'a Running)> {
        part.iter().filter_map(|node| Some((*node, self.nodes[*node].running.as_ref()?)))
    }

    /// Whether all of a part that run know each other, and nobody else.
    pub(crate) fn check_members(&self, part: &[usize]) -> Result<(), Broken> {
        let all: BTreeSet<_> = self.of(part).map(|(number, _)| self.nodes[number].id).collect();
        for (number, running) in self.of(part) {
            // looked at often and mostly in vain: counts first
            let count = running.net.members().len() + 1;
            if count != all.len() && !self.config().watched {
                let what = format!("node {number} knows {count} of {}", all.len());
                return Err(Broken { invariant: "members are equal", what });
            }
            let seen: BTreeSet<_> =
                running.net.members().map(|peer| peer.id).chain([running.net.me().id]).collect();
            if seen != all {
                let lacks: Vec<_> = all.difference(&seen).filter_map(|id| self.number_of(*id)).collect();
                let more: Vec<_> = seen.difference(&all).filter_map(|id| self.number_of(*id)).collect();
                let what = format!("node {number} lacks {lacks:?} and has {more:?} too much");
                return Err(Broken { invariant: "members are equal", what });
            }
        }
        Ok(())
    }

    /// Whether all of a part that run hold the same records, and the whole mesh none older than was acknowledged.
    pub(crate) fn check_records(&self, part: &[usize]) -> Result<(), Broken> {
        let mut first: Option<(usize, BTreeSet<Digest>)> = None;
        let whole = part.len() == self.nodes.len();
        for (number, running) in self.of(part) {
            let ids: BTreeSet<Digest> = running.core.ids().collect();
            match &first {
                None => first = Some((number, ids)),
                Some((other, theirs)) if *theirs != ids => {
                    let what = format!(
                        "node {number} has {} records, node {other} {}; {} differ",
                        ids.len(),
                        theirs.len(),
                        ids.symmetric_difference(theirs).count()
                    );
                    return Err(Broken { invariant: "records are equal", what });
                }
                Some(_) => {}
            }
            for (key, rank) in &self.watch.acknowledged {
                if whole && running.core.get(key).is_none_or(|held| held.rank() < *rank) {
                    let what = format!("node {number} holds an older {key} than was acknowledged");
                    return Err(Broken { invariant: "nothing deleted or replaced comes back", what });
                }
            }
        }
        Ok(())
    }
}
