//! Tree: the broadcast of records (Plumtree: Leitão, Pereira, Rodrigues, "Epidemic Broadcast Trees", 2007).
//!
//! Each neighbour is pushed every record at once, or, when it has said that it gets them sooner from others, promised
//! its id a moment later. What is promised and doesn't come is asked for, and who had to be asked is pushed to from
//! then on: so the links that push grow into a tree, and mend where one breaks.
//!
//! It holds no record and verifies none: it is told of a record after the store took it, and the store answers
//! who asks. A loss here costs time only, until records are reconciled. What one neighbour promises takes no room
//! from another's promises.

mod rings;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use types::Digest;

use super::envelope::{MAX_HOPS, MAX_PROMISED, Message};
use super::peer::PeerId;
use rings::Rings;

/// With so many members the tree is not thinned out: everybody passes news on to all neighbours, and a lost packet
/// holds nobody up. Each node then hears everything from each of its eight neighbours, which is little.
const ALL_EAGER: usize = 64;
/// A promise that is so many hops closer to its origin than the record that came takes its place in the tree.
const SHORTCUT: u8 = 1;
/// Promises are held back for so long, to go together.
const TOGETHER: Duration = Duration::from_millis(5);
/// What was promised and nobody sent is asked for after this: above the time in which a lost packet is sent again. Of
/// the next who promised it after half of it. At 1,000 nodes it takes 14 ms off the slowest of a hundred records,
/// against 50 ms, and brings one in 250 twice.
const MISSED: Duration = Duration::from_millis(30);
/// So many ids of records that passed are remembered, and as many of before.
const MAX_HAD: usize = 16 * 1024;

/// What is to be sent.
pub(super) type Sends = Vec<(PeerId, Message)>;

#[derive(Default)]
struct Link {
    /// Promised to, not pushed to.
    lazy: bool,
    /// What it promised and nobody sent yet; at most [`MAX_PROMISED`].
    promised: BTreeMap<Digest, Promise>,
}

#[derive(Clone, Copy)]
struct Promise {
    at: Duration,
    hops: u8,
}

/// A record that is to be promised.
struct Fresh {
    hops: u8,
    /// Who has it, or was sent it.
    holders: Vec<PeerId>,
}

pub(super) struct Tree {
    rings: Rings,
    members: usize,
    links: BTreeMap<PeerId, Link>,
    /// Records that passed lately and before, with the hops that they go on with.
    had: [BTreeMap<Digest, u8>; 2],
    /// What is promised and not here: when it is asked for.
    missing: BTreeMap<Digest, Duration>,
    fresh: BTreeMap<Digest, Fresh>,
    tell_at: Option<Duration>,
    ask_at: Option<Duration>,
}

impl Tree {
    pub(super) fn new(me: &PeerId) -> Self {
        Self {
            rings: Rings::new(me),
            members: 0,
            links: BTreeMap::new(),
            had: Default::default(),
            missing: BTreeMap::new(),
            fresh: BTreeMap::new(),
            tell_at: None,
            ask_at: None,
        }
    }

    /// A member is here, one of so many.
    pub(super) fn came(&mut self, peer: &PeerId, members: usize) {
        self.members = members;
        self.rings.add(peer);
        self.link();
    }

    /// A member is gone; these are left.
    pub(super) fn went(&mut self, peer: &PeerId, left: impl ExactSizeIterator<Item = PeerId>) {
        self.members = left.len();
        self.rings.remove(peer, left);
        self.link();
    }

    /// The link to a neighbour broke. It may be back before it is taken for dead; until it asks, it is promised to.
    pub(super) fn broke(&mut self, peer: &PeerId) {
        if let Some(link) = self.links.get_mut(peer) {
            *link = Link { lazy: true, promised: BTreeMap::new() };
        }
    }

    pub(super) fn neighbours(&self) -> impl ExactSizeIterator<Item = PeerId> {
        self.links.keys().copied()
    }

    /// Tells the neighbours of a record that the store has just taken: our own, or one that `from` sent, to go on
    /// with so many hops.
    pub(super) fn spread(
        &mut self,
        id: Digest,
        record: &[u8],
        hops: u8,
        from: Option<PeerId>,
        now: Duration,
    ) -> Sends {
        let hops = hops.min(MAX_HOPS);
        self.note(id, hops);
        self.missing.remove(&id);
        let promised =
            |(peer, link): (&PeerId, &mut Link)| link.promised.remove(&id).map(|one| (one.hops, *peer));
        let promised: Vec<(u8, PeerId)> = self.links.iter_mut().filter_map(promised).collect();
        let mut sends = Vec::new();
        if let Some(from) = from {
            self.choose(from, hops, promised.iter().min().copied(), &mut sends);
        }
        let mut holders: Vec<PeerId> =
            from.into_iter().chain(promised.into_iter().map(|(_, peer)| peer)).collect();
        let all = self.is_small();
        for (peer, link) in &self.links {
            if (all || !link.lazy) && !holders.contains(peer) {
                sends.push((*peer, Message::News { hops, record: record.to_vec() }));
                holders.push(*peer);
            }
        }
        if self.links.keys().any(|peer| !holders.contains(peer)) {
            self.fresh.insert(id, Fresh { hops, holders });
            self.tell_at.get_or_insert(now + TOGETHER);
            if self.fresh.len() >= MAX_PROMISED {
                sends.append(&mut self.tell());
            }
        }
        sends
    }

    /// `from` pushed what we have had: it may promise from now on.
    pub(super) fn twice(&mut self, from: PeerId) -> Sends {
        if self.is_small() {
            return Vec::new();
        }
        self.set_lazy(&from, true);
        vec![(from, Message::Prune)]
    }

    /// `from` promises these. Only neighbours do; anybody else's view of the mesh is ahead of ours, or behind.
    pub(super) fn promised(
        &mut self,
        from: PeerId,
        ids: Vec<(Digest, u8)>,
        now: Duration,
        known: impl Fn(&Digest) -> bool,
    ) {
        for (id, hops) in ids {
            let Some(link) = self.links.get_mut(&from) else { return };
            if let Some(fresh) = self.fresh.get_mut(&id) {
                if !fresh.holders.contains(&from) {
                    fresh.holders.push(from);
                }
                continue;
            }
            if self.had.iter().any(|had| had.contains_key(&id)) || known(&id) {
                continue;
            }
            if link.promised.len() >= MAX_PROMISED {
                return;
            }
            link.promised.entry(id).or_insert(Promise { at: now, hops });
            self.missing.entry(id).or_insert(now + MISSED);
            self.ask_at.get_or_insert(now + MISSED);
        }
    }

    /// `from` wants to be pushed to.
    pub(super) fn grafted(&mut self, from: &PeerId) {
        self.set_lazy(from, false);
    }

    /// `from` gets things sooner from others.
    pub(super) fn pruned(&mut self, from: &PeerId) {
        self.set_lazy(from, true);
    }

    /// The hops with which a record went on, if it passed here lately.
    pub(super) fn had(&self, id: &Digest) -> Option<u8> {
        self.had.iter().find_map(|had| had.get(id)).copied()
    }

    /// When [`Tree::timer`] has something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        self.tell_at.into_iter().chain(self.ask_at).min()
    }

    pub(super) fn timer(&mut self, now: Duration) -> Sends {
        let mut sends = Vec::new();
        if self.tell_at.is_some_and(|at| at <= now) {
            sends = self.tell();
        }
        if self.ask_at.is_some_and(|at| at <= now) {
            sends.append(&mut self.ask(now));
        }
        sends
    }

    /// Forgets what passed before the last time.
    pub(super) fn sweep(&mut self) {
        self.had[1] = std::mem::take(&mut self.had[0]);
    }

    /// Promises what is fresh to those who lack it.
    fn tell(&mut self) -> Sends {
        self.tell_at = None;
        let fresh = std::mem::take(&mut self.fresh);
        let mut sends = Vec::new();
        for peer in self.links.keys() {
            let new = fresh.iter().filter(|(_, one)| !one.holders.contains(peer));
            let ids: Vec<(Digest, u8)> = new.map(|(id, one)| (*id, one.hops)).collect();
            if !ids.is_empty() {
                sends.push((*peer, Message::Have(ids)));
            }
        }
        sends
    }

    /// Asks for what is overdue: who promised it first, then the next, until nobody is left.
    fn ask(&mut self, now: Duration) -> Sends {
        let due: Vec<Digest> = self.missing.iter().filter(|(_, at)| **at <= now).map(|(id, _)| *id).collect();
        let mut asked: BTreeMap<PeerId, Vec<Digest>> = BTreeMap::new();
        for id in due {
            let promise =
                |(peer, link): (&PeerId, &Link)| link.promised.get(&id).map(|one| (one.at, one.hops, *peer));
            let first = self.links.iter().filter_map(promise).min();
            let Some((_, _, peer)) = first else {
                self.missing.remove(&id);
                continue;
            };
            self.missing.insert(id, now + MISSED / 2);
            if let Some(link) = self.links.get_mut(&peer) {
                link.promised.remove(&id);
                link.lazy = false;
            }
            asked.entry(peer).or_default().push(id);
        }
        self.ask_at = self.missing.values().min().copied();
        asked.into_iter().map(|(peer, ids)| (peer, Message::Graft(ids))).collect()
    }

    /// Who sent it first pushes to us from now on, unless a promise was much closer to the origin.
    fn choose(&mut self, from: PeerId, hops: u8, closest: Option<(u8, PeerId)>, sends: &mut Sends) {
        match closest {
            Some((promised, peer)) if promised + SHORTCUT < hops && !self.is_small() => {
                self.set_lazy(&peer, false);
                self.set_lazy(&from, true);
                sends.push((peer, Message::Graft(Vec::new())));
                sends.push((from, Message::Prune));
            }
            _ => self.set_lazy(&from, false),
        }
    }

    fn note(&mut self, id: Digest, hops: u8) {
        if self.had[0].len() >= MAX_HAD {
            self.sweep();
        }
        self.had[0].insert(id, hops);
    }

    fn set_lazy(&mut self, peer: &PeerId, lazy: bool) {
        if let Some(link) = self.links.get_mut(peer) {
            link.lazy = lazy;
        }
    }

    fn is_small(&self) -> bool {
        self.members <= ALL_EAGER
    }

    /// Keeps links to the neighbours of the moment; a new one is pushed to.
    fn link(&mut self) {
        let near: BTreeSet<PeerId> = self.rings.near();
        self.links.retain(|peer, _| near.contains(peer));
        for peer in near {
            self.links.entry(peer).or_default();
        }
    }
}

#[cfg(test)]
mod tests;
