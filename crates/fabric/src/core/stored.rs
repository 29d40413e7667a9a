//! What the journal holds, and reading it back.
//!
//! ```text
//! key                               value
//! 'r', record id (32 bytes)         the record in its wire form
//! 'f', key as in the wire form      the floor of a name: two u64 and an id, big-endian
//! 'i'                               the incarnation, u64 big-endian
//! 'u'                               when this node ran last: milliseconds since 1970, u64 big-endian
//! 'a'                               since when it is back from an absence and has met nobody who stayed, likewise
//! 'd', record id (32 bytes)         nothing: the record is in doubt
//! ```

use std::collections::BTreeSet;

use types::{Digest, Timestamp};

use crate::{Key, Order, Output, Rank, Record, Refused, Write, wire};

use super::{Core, Input};

const RECORD: u8 = b'r';
const FLOOR: u8 = b'f';
const INCARNATION: u8 = b'i';
pub(super) const STAMP: u8 = b'u';
pub(super) const AWAY: u8 = b'a';
const DOUBT: u8 = b'd';

/// What a disk said of this node's absence.
#[derive(Default)]
pub(super) struct Loaded {
    /// There was nothing on it at all.
    pub(super) blank: bool,
    pub(super) stamp: Option<Timestamp>,
    pub(super) since: Option<Timestamp>,
    pub(super) doubted: BTreeSet<Digest>,
}

pub(super) fn record_key(id: Digest) -> Vec<u8> {
    [&[RECORD], id.as_bytes().as_slice()].concat()
}

/// The id of the record that a journal holds under this key, if it is a record's.
#[must_use]
pub fn stored_record(key: &[u8]) -> Option<Digest> {
    let id = key.strip_prefix(&[RECORD])?;
    Some(Digest::from_bytes(id.try_into().ok()?))
}

pub(super) fn doubt_key(id: &Digest) -> Vec<u8> {
    [&[DOUBT], id.as_bytes().as_slice()].concat()
}

pub(super) fn time(key: u8, at: Timestamp) -> Write {
    Write::Put { key: vec![key], value: at.as_millis().to_be_bytes().to_vec() }
}

fn read_time(value: Vec<u8>) -> Option<Timestamp> {
    value.try_into().ok().map(|bytes| Timestamp::from_millis(u64::from_be_bytes(bytes)))
}

pub(super) fn floor_key(key: &Key) -> Vec<u8> {
    let mut out = vec![FLOOR];
    wire::put_key(&mut out, key);
    out
}

pub(super) fn floor_value(rank: Rank) -> Vec<u8> {
    let Rank { order: Order { major, minor }, id } = rank;
    [major.to_be_bytes().as_slice(), &minor.to_be_bytes(), id.as_bytes()].concat()
}

fn read_floor(value: &[u8]) -> Option<Rank> {
    let (major, rest) = value.split_first_chunk()?;
    let (minor, rest) = rest.split_first_chunk()?;
    let order = Order { major: u64::from_be_bytes(*major), minor: u64::from_be_bytes(*minor) };
    Some(Rank { order, id: Digest::from_bytes(rest.try_into().ok()?) })
}

impl Core {
    /// Takes what a journal held. What doesn't hold (any more) is returned with the reason, and is to be
    /// deleted by the outputs, like what has ended meanwhile. Raises the incarnation.
    pub fn load(
        &mut self,
        stored: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
        now: Timestamp,
    ) -> (Vec<Output>, Vec<Refused>) {
        let mut out = Vec::new();
        let mut refused = Vec::new();
        let mut records = Vec::new();
        let mut absence = Loaded { blank: true, ..Loaded::default() };
        for (key, value) in stored {
            absence.blank = false;
            match key.split_first() {
                Some((&RECORD, id)) => records.push((id.to_vec(), value)),
                Some((&FLOOR, name)) => {
                    if let (Ok(name), Some(rank)) = (wire::decode_key(name), read_floor(&value)) {
                        self.floors.insert(name, rank);
                    }
                }
                Some((&INCARNATION, [])) => {
                    let last = value.try_into().map_or(0, u64::from_be_bytes);
                    self.incarnation = self.incarnation.max(last.saturating_add(1));
                }
                Some((&STAMP, [])) => absence.stamp = read_time(value),
                Some((&AWAY, [])) => absence.since = read_time(value),
                Some((&DOUBT, id)) => {
                    absence.doubted.extend(id.try_into().ok().map(Digest::from_bytes));
                }
                _ => {}
            }
        }
        // What says who may write comes first, so that nothing is refused because of where it stood.
        records.sort_by_key(|(_, bytes)| wire::precedence(bytes));
        for (id, bytes) in records {
            if let Err(reason) = self.load_record(&bytes, now, &mut out) {
                refused.push(reason);
                out.push(Output::Write(Write::Delete { key: [&[RECORD], id.as_slice()].concat() }));
            }
        }
        self.load_absence(absence, now, &mut out);
        let value = self.incarnation.to_be_bytes().to_vec();
        out.push(Output::Write(Write::Put { key: vec![INCARNATION], value }));
        (out, refused)
    }

    fn load_record(&mut self, bytes: &[u8], now: Timestamp, out: &mut Vec<Output>) -> Result<(), Refused> {
        let verified = Record::decode(bytes)?.verify(&self.mesh)?;
        let id = verified.record().id();
        let known = Write::Put { key: record_key(id), value: bytes.to_vec() };
        for output in self.handle(Input::Merge(verified), now) {
            match output {
                Output::Refused(reason) => return Err(reason),
                Output::Write(write) if write != known => out.push(Output::Write(write)),
                _ => {}
            }
        }
        Ok(())
    }
}
