//! Absence: a node that was away for longer than tombstones live can't tell what was removed meanwhile from what holds.
//!
//! So what it holds of others' is *in doubt* until it has compared it with a peer that stayed: it goes on serving from
//! it, gives it to nobody but those who were away too, and forgets what that peer lacks. A mesh that was off as a whole
//! has nobody who stayed: it forgets nothing, and whoever has been back for as long as tombstones live has stayed.
//! A node that has just joined has not stayed either, until it has met one that has.
//!
//! What says who may write is never in doubt: it is never removed and never ends, so it has no tombstones.

use std::collections::BTreeSet;
use std::time::Duration;

use types::{Digest, NodeName, Timestamp};

use super::{Core, stored};
use crate::{Key, Output, Owner, Record, TOMBSTONE_LIFE, Write};

/// The stamp on disk is renewed so often: a node may count as away for so much longer than it was.
const STAMP: Duration = Duration::from_secs(3600);

/// What became of this node's time without the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// It was away for so long: what it holds of others', so many records, is in doubt.
    Began(Duration, usize),
    /// It has compared what it holds with one that stayed: these are gone.
    Ended(Vec<Key>),
    /// It met nobody who stayed for as long as tombstones live: what it holds holds.
    Waived,
}

/// Since when, and what is in doubt.
#[derive(Debug, Default)]
pub(super) struct Away {
    /// When this node ran last, as far as it is on disk.
    stamp: Option<Timestamp>,
    since: Option<Timestamp>,
    doubted: BTreeSet<Digest>,
}

impl Core {
    /// Whether this node was away and has met nobody since who stayed.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        self.away.since.is_some()
    }

    /// Whether it is in doubt that the record with this id holds still.
    #[must_use]
    pub fn doubts(&self, id: &Digest) -> bool {
        self.away.doubted.contains(id)
    }

    /// Notes that the node `me` runs at this moment. To be called at the start, and now and then: a process that was
    /// stopped for a month was away as well.
    pub(super) fn awake(&mut self, me: &NodeName, now: Timestamp, out: &mut Vec<Output>) {
        let gap = self.away.stamp.map_or(Duration::ZERO, |stamp| now.since(stamp));
        // a clock that was set back says nothing, and counts anew from there
        if self.away.stamp.is_none_or(|stamp| now < stamp) || gap >= STAMP {
            self.away.stamp = Some(now);
            out.push(Output::Write(stored::time(stored::STAMP, now)));
        }
        if gap > TOMBSTONE_LIFE {
            self.doubt_all(me, out);
            self.set_away(now, out);
            out.push(Output::Absence(Absence::Began(gap, self.away.doubted.len())));
        }
        let Some(since) = self.away.since else { return };
        if now < since {
            self.set_away(now, out);
        } else if now.since(since) > TOMBSTONE_LIFE && self.end_absence(out) {
            out.push(Output::Absence(Absence::Waived));
        }
    }

    /// A peer that stayed lacks these: those in doubt leave, all others hold, and this node has stayed too.
    pub(super) fn forget(&mut self, lacked: &[Digest], out: &mut Vec<Output>) {
        let mut gone = Vec::new();
        for id in lacked.iter().filter(|id| self.away.doubted.contains(id)).copied().collect::<Vec<_>>() {
            let Some(key) = self.ids.get(&id).cloned() else { continue };
            self.shrink(&key, out, |slot| slot.drop_where(|record| record.id() == id));
            gone.push(key);
        }
        if self.end_absence(out) || !gone.is_empty() {
            out.push(Output::Absence(Absence::Ended(gone)));
        }
    }

    /// One that was away gave us a record that it doubts.
    pub(super) fn doubt(&mut self, id: Digest, out: &mut Vec<Output>) {
        let may = self.is_away() && self.ids.get(&id).is_some_and(|key| !key.kind.rules());
        if may && self.away.doubted.insert(id) {
            out.push(Output::Write(Write::Put { key: stored::doubt_key(&id), value: Vec::new() }));
        }
    }

    /// A record that leaves is in doubt no more.
    pub(super) fn undoubt(&mut self, record: &Record, out: &mut Vec<Output>) {
        if self.away.doubted.remove(&record.id()) {
            out.push(Output::Write(Write::Delete { key: stored::doubt_key(&record.id()) }));
        }
    }

    /// Goes by what was on disk; a disk with nothing on it is that of a node that is new.
    pub(super) fn load_absence(&mut self, loaded: stored::Loaded, now: Timestamp, out: &mut Vec<Output>) {
        let stored::Loaded { blank, stamp, since, doubted } = loaded;
        (self.away.stamp, self.away.since) = (stamp, since);
        if blank {
            self.set_away(now, out);
        }
        let here = |id: &Digest| self.ids.contains_key(id);
        let (here, left): (BTreeSet<_>, BTreeSet<_>) = doubted.into_iter().partition(here);
        self.away.doubted = here;
        out.extend(left.iter().map(|id| Output::Write(Write::Delete { key: stored::doubt_key(id) })));
    }

    fn doubt_all(&mut self, me: &NodeName, out: &mut Vec<Output>) {
        let me = Owner::Node(me.clone());
        let others = self.ids.iter().filter(|(_, key)| key.owner != me && !key.kind.rules());
        for id in others.map(|(id, _)| *id) {
            if self.away.doubted.insert(id) {
                out.push(Output::Write(Write::Put { key: stored::doubt_key(&id), value: Vec::new() }));
            }
        }
    }

    fn set_away(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.away.since = Some(now);
        out.push(Output::Write(stored::time(stored::AWAY, now)));
    }

    /// Whether there was anything in doubt.
    fn end_absence(&mut self, out: &mut Vec<Output>) -> bool {
        self.away.since = None;
        out.push(Output::Write(Write::Delete { key: vec![stored::AWAY] }));
        let doubted = std::mem::take(&mut self.away.doubted);
        out.extend(doubted.iter().map(|id| Output::Write(Write::Delete { key: stored::doubt_key(id) })));
        !doubted.is_empty()
    }
}
