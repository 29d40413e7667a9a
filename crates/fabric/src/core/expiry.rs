//! Records that end by themselves: tombstones after 30 days, others when their writer said.

use std::collections::BTreeSet;
use std::time::Duration;

use types::{Digest, Timestamp};

use crate::{Key, Output, Rank, Record, Refused, TOMBSTONE_LIFE, Verified, Write};

use super::{Core, stored};

/// By so much another's clock may be ahead of ours.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);
/// The farthest end that a record which says something may have.
const MAX_LIFE: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// What ends when, soonest first.
#[derive(Debug, Default)]
pub(super) struct Expiries(BTreeSet<(Timestamp, Key, Digest)>);

impl Expiries {
    pub(super) fn add(&mut self, record: &Record) {
        if let Some(end) = record.expires() {
            self.0.insert((end, record.key().clone(), record.id()));
        }
    }

    pub(super) fn remove(&mut self, record: &Record) {
        if let Some(end) = record.expires() {
            self.0.remove(&(end, record.key().clone(), record.id()));
        }
    }

    fn pop(&mut self, now: Timestamp) -> Option<(Key, Digest)> {
        if self.0.first()?.0 > now {
            return None;
        }
        self.0.pop_first().map(|(_, key, id)| (key, id))
    }
}

/// Refuses a record that would stay longer than any may.
pub(super) fn check_horizon(record: &Record, now: Timestamp) -> Result<(), Refused> {
    let life = if record.payload().is_none() { TOMBSTONE_LIFE } else { MAX_LIFE };
    match record.expires() {
        Some(end) if end > now + life + CLOCK_SKEW => Err(Refused::Expiry {
            key: record.key().to_string(),
            reason: "it ends farther ahead than a record may (are the clocks right?)",
        }),
        _ => Ok(()),
    }
}

impl Core {
    /// Lets go of everything that has ended by `now`.
    pub(super) fn expire(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some((key, id)) = self.expiries.pop(now) {
            let Some(slot) = self.slots.get(&key) else { continue };
            let Some(record) = slot.records().map(Verified::record).find(|record| record.id() == id) else {
                continue;
            };
            let rank = record.rank();
            if record.is_operators() {
                self.raise_floor(&key, rank, out);
            } else {
                self.shrink(&key, out, |slot| slot.drop_upto(rank));
            }
        }
    }

    /// A record that had ended before it came: an operator's still rules out what is not above it.
    pub(super) fn bury(&mut self, ended: &Verified, out: &mut Vec<Output>) -> Refused {
        let record = ended.record();
        if record.is_operators() {
            self.raise_floor(record.key(), record.rank(), out);
        }
        Refused::Expiry { key: record.key().to_string(), reason: "it has ended already" }
    }

    pub(super) fn raise_floor(&mut self, key: &Key, rank: Rank, out: &mut Vec<Output>) {
        let floor = self.floors.entry(key.clone()).or_insert(rank);
        let rank = rank.max(*floor);
        *floor = rank;
        out.push(Output::Write(Write::Put { key: stored::floor_key(key), value: stored::floor_value(rank) }));
        self.shrink(key, out, |slot| slot.drop_upto(rank));
    }
}
