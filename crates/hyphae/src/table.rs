//! The table of peers: their addresses, connections, dials under way and what waits for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use types::PublicKey;

use crate::book::Book;
use crate::link::Link;
use crate::outbox::Outbox;
use crate::pick::{Verdict, pick};
use crate::{OpenError, wire};

/// The most connections kept to one peer: two dials at once, one that is just closing, and those that earlier runs of
/// either end finish what is open on.
const MOST_LINKS: usize = 8;
/// The most datagrams that wait for a dial; older ones are dropped.
pub const MOST_DATAGRAMS: usize = 16;

/// How a dial ended, for all who wait for it.
pub type Outcome = Result<Arc<Link>, OpenError>;

/// A dial under way.
#[derive(Clone)]
pub struct Attempt {
    /// For what.
    pub protocol: Arc<str>,
    /// What became of it.
    pub outcome: Arc<watch::Sender<Option<Outcome>>>,
    /// Rises when the peer's addresses change: what is under way starts again.
    pub moved: Arc<watch::Sender<u64>>,
}

/// What there is about one peer.
#[derive(Default)]
pub struct Entry {
    /// Connections, the one to use first. Closed ones stay until their task has noticed.
    pub links: Vec<Arc<Link>>,
    /// The dial under way.
    pub attempt: Option<Attempt>,
    /// What waits to be sent, by protocol.
    pub outboxes: BTreeMap<String, Arc<Outbox>>,
    /// Datagrams that wait for the dial.
    pub datagrams: VecDeque<Bytes>,
    /// What went wrong last.
    pub error: Option<String>,
}

/// All peers.
#[derive(Default)]
pub struct Table {
    pub book: Book,
    pub peers: BTreeMap<PublicKey, Entry>,
    /// Set when nothing new may begin.
    pub closed: bool,
    /// Set when a successor dials, and this run has to do with the connections that it has.
    pub retired: bool,
}

impl Attempt {
    /// A dial that has just begun.
    pub fn new(protocol: &str) -> Self {
        let (outcome, moved) = (watch::Sender::new(None), watch::Sender::new(0));
        Self { protocol: protocol.into(), outcome: Arc::new(outcome), moved: Arc::new(moved) }
    }

    /// Tells those who wait, unless they were told before.
    pub fn tell(&self, outcome: Outcome) {
        self.outcome.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                *told = Some(outcome);
            }
            first
        });
    }
}

impl Entry {
    /// The connection to use.
    pub fn link(&self) -> Option<&Arc<Link>> {
        self.links.iter().find(|link| link.is_usable())
    }

    /// Takes a new connection in, and closes those that it replaces.
    pub fn add(&mut self, new: &Arc<Link>, smaller: bool, window: Duration) {
        let mut first = true;
        for old in self.links.iter().filter(|link| link.is_replaceable()) {
            match pick(old.facts, new.facts, smaller, window) {
                Verdict::Replace => old.close(wire::CODE_SUPERSEDED, "a newer connection took its place"),
                Verdict::UseNew => {}
                Verdict::UseOld => first = false,
            }
        }
        self.links.insert(if first { 0 } else { self.links.len() }, Arc::clone(new));
        while self.links.len() > MOST_LINKS {
            // One with nothing open on it first, and never the new one.
            let worth = |link: &Arc<Link>| (Arc::ptr_eq(link, new), link.active() > 0, link.facts.since);
            let oldest = self.links.iter().enumerate().min_by_key(|(_, link)| worth(link));
            let Some((index, _)) = oldest else { break };
            self.links.remove(index).close(wire::CODE_SUPERSEDED, "too many connections");
        }
        self.error = None;
        if let Some(attempt) = &self.attempt {
            attempt.tell(Ok(Arc::clone(new)));
        }
    }

    /// Whether nothing is kept here that somebody could still want.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.attempt.is_none() && self.outboxes.is_empty()
    }
}

impl Table {
    /// Takes an ended connection out, and notes why it ended.
    pub fn remove(&mut self, link: &Arc<Link>, why: Option<String>) {
        let Some(entry) = self.peers.get_mut(&link.peer) else { return };
        entry.links.retain(|other| !Arc::ptr_eq(other, link));
        if entry.link().is_none() && why.is_some() {
            entry.error = why;
        }
        self.tidy(&link.peer);
    }

    /// Drops the entry of a peer that nobody named and that isn't connected.
    pub fn tidy(&mut self, peer: &PublicKey) {
        let unknown = self.book.addresses(peer).is_empty();
        if unknown && self.peers.get(peer).is_some_and(Entry::is_empty) {
            self.peers.remove(peer);
        }
    }
}
