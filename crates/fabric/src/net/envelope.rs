//! Envelope: the form of everything that one node sends another.
//!
//! ```text
//! version  u8   1
//! kind     u8   see `Kind`
//! body     the rest
//! ```
//! An unknown version or kind is no offence: it is counted and passed over, so that a newer node can talk to
//! an older one. Within a kind that is known, anything but the canonical form is refused. Numbers are
//! big-endian. Who sent a message is not in it: the overlay has authenticated the link.

use types::Digest;

use super::peer::Peer;
use super::swim::{put_member, read_member};
use crate::wire::Reader;
use crate::{MAX_RECORD, WireError};

/// The version of the envelope that this code reads and writes.
pub const NET_VERSION: u8 = 1;
/// The largest datagram, in bytes: passes every path with an MTU of 1,280 inside the overlay's framing.
pub const MAX_DATAGRAM: usize = 1200;
/// The largest reliable message, in bytes.
pub const MAX_MESSAGE: usize = 256 * 1024;
/// The most buckets of a digest of members; 64 of them fit a datagram.
pub(super) const MAX_BUCKETS: usize = 128;
/// The most ids that are asked for at once.
pub(super) const MAX_WANTED: usize = 512;
/// The most ids that are promised, or asked for by who was promised them, at once.
pub(super) const MAX_PROMISED: usize = 512;
/// The most links that a record is said to have passed: the logarithm of any mesh, many times over.
pub(super) const MAX_HOPS: u8 = 64;
/// The most members in one message.
pub(super) const MAX_LISTED: usize = 1024;

/// A message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// SWIM: probes, answers, and the news they carry (datagram).
    Swim(Vec<u8>),
    /// A record for everyone: u8 links that it passed before, the record.
    News { hops: u8, record: Vec<u8> },
    /// What the sender's list of members sums up to: u8 0, u8 n, n times u64.
    Digest(Vec<u64>),
    /// Members of the buckets that differ. u8 n and n x u8 bucket of so many, whose content is asked back;
    /// then u16 n and n times a member.
    Members { of: u8, back: Vec<u8>, members: Vec<foca::Member<Peer>> },
    /// A step of range-based reconciliation, by who started it: u32 session, body.
    Query { session: u32, body: Vec<u8> },
    /// The answer to a step.
    Answer { session: u32, body: Vec<u8> },
    /// Records by their ids: u32 session, u16 n, n x 32 bytes.
    Want { session: u32, ids: Vec<Digest> },
    /// Records: u32 session, u8 whether it is the last for that session, n times (u32 length, bytes). Session 0:
    /// unasked; 2³²-1: unasked, and the sender doubts them.
    Records { session: u32, last: bool, records: Vec<Vec<u8>> },
    /// Records that the sender could push, one at least: u16 n, n x (32 bytes id, u8 links), ids ascending.
    Have(Vec<(Digest, u8)>),
    /// Push to me from now on, and these that you promised: u16 n, n x 32 bytes id, ascending.
    Graft(Vec<Digest>),
    /// What you push has come before: promise from now on.
    Prune,
    /// I was away for longer than tombstones live, or am new; did you stay? u32 session.
    AskStayed { session: u32 },
    /// Whether I stayed: u32 session, u8.
    Stayed { session: u32, stayed: bool },
}

/// What came out of reading a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Opened {
    Message(Message),
    /// Of a later version or kind: passed over.
    Unknown,
}

impl Message {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![NET_VERSION];
        match self {
            Self::Swim(body) => put_body(&mut out, 1, body),
            Self::News { hops, record } => {
                out.extend([2, *hops]);
                out.extend(record);
            }
            Self::Digest(sums) => {
                out.extend([3, count8(sums.len())]);
                sums.iter().for_each(|sum| out.extend(sum.to_be_bytes()));
            }
            Self::Members { of, back, members } => {
                out.extend([4, *of, count8(back.len())]);
                out.extend(back);
                out.extend(count16(members.len()));
                for member in members {
                    put_member(&mut out, member).expect("a listed member has its details");
                }
            }
            Self::Query { session, body } => {
                out.push(5);
                out.extend(session.to_be_bytes());
                out.extend(body);
            }
            Self::Answer { session, body } => {
                out.push(6);
                out.extend(session.to_be_bytes());
                out.extend(body);
            }
            Self::Want { session, ids } => {
                out.push(7);
                out.extend(session.to_be_bytes());
                out.extend(count16(ids.len()));
                ids.iter().for_each(|id| out.extend(id.as_bytes()));
            }
            Self::Records { session, last, records } => {
                out.push(8);
                out.extend(session.to_be_bytes());
                out.push(u8::from(*last));
                for record in records {
                    out.extend(u32::try_from(record.len()).expect("a record is short").to_be_bytes());
                    out.extend(record);
                }
            }
            Self::Have(ids) => {
                out.push(9);
                out.extend(count16(ids.len()));
                for (id, hops) in ids {
                    out.extend(id.as_bytes());
                    out.push(*hops);
                }
            }
            Self::Graft(ids) => {
                out.push(10);
                out.extend(count16(ids.len()));
                ids.iter().for_each(|id| out.extend(id.as_bytes()));
            }
            Self::Prune => out.push(11),
            Self::AskStayed { session } => put_body(&mut out, 12, &session.to_be_bytes()),
            Self::Stayed { session, stayed } => {
                out.push(13);
                out.extend(session.to_be_bytes());
                out.push(u8::from(*stayed));
            }
        }
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Opened, WireError> {
        if bytes.len() > MAX_MESSAGE {
            return Err(WireError::Field("length"));
        }
        let mut reader = Reader(bytes);
        let (version, kind) = (reader.u8("version")?, reader.u8("kind")?);
        if version != NET_VERSION || !(1..=13).contains(&kind) {
            return Ok(Opened::Unknown);
        }
        let message = match kind {
            1 => Self::Swim(rest(&mut reader)),
            2 => read_news(&mut reader)?,
            3 => read_digest(&mut reader)?,
            4 => read_members(&mut reader)?,
            5 => Self::Query { session: reader.u32("session")?, body: rest(&mut reader) },
            6 => Self::Answer { session: reader.u32("session")?, body: rest(&mut reader) },
            7 => read_want(&mut reader)?,
            8 => read_records(&mut reader)?,
            9 => read_have(&mut reader)?,
            10 => read_graft(&mut reader)?,
            11 => Self::Prune,
            12 => Self::AskStayed { session: reader.u32("session")? },
            _ => Self::Stayed { session: reader.u32("session")?, stayed: read_flag(&mut reader, "stayed")? },
        };
        reader.end()?;
        Ok(Opened::Message(message))
    }
}

fn put_body(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    out.extend_from_slice(body);
}

fn count8(count: usize) -> u8 {
    u8::try_from(count).expect("buckets are few")
}

fn count16(count: usize) -> [u8; 2] {
    u16::try_from(count).expect("lists are cut before they are sent").to_be_bytes()
}

fn rest(reader: &mut Reader<'_>) -> Vec<u8> {
    std::mem::take(&mut reader.0).to_vec()
}

/// Buckets are told apart by the first bits of the key, so their number is a power of two.
fn buckets(count: u8) -> Result<u8, WireError> {
    if count.is_power_of_two() && usize::from(count) <= MAX_BUCKETS {
        Ok(count)
    } else {
        Err(WireError::Field("buckets"))
    }
}

fn read_digest(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let count = buckets(reader.u8("buckets")?)?;
    let sums = (0..count).map(|_| reader.u64("buckets")).collect::<Result<_, _>>()?;
    Ok(Message::Digest(sums))
}

fn read_members(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let of = buckets(reader.u8("buckets")?)?;
    let count = usize::from(reader.u8("buckets")?);
    let back = reader.take(count, "buckets")?.to_vec();
    if back.iter().any(|bucket| *bucket >= of) || !back.is_sorted_by(|a, b| a < b) {
        return Err(WireError::Field("buckets"));
    }
    let count = usize::from(reader.u16("members")?);
    if count > MAX_LISTED {
        return Err(WireError::Field("members"));
    }
    let members = (0..count).map(|_| read_member(reader)).collect::<Result<_, _>>()?;
    Ok(Message::Members { of, back, members })
}

fn read_news(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let hops = read_hops(reader)?;
    let length = reader.0.len();
    if length > MAX_RECORD {
        Err(WireError::TooLarge(length))
    } else {
        Ok(Message::News { hops, record: rest(reader) })
    }
}

fn read_hops(reader: &mut Reader<'_>) -> Result<u8, WireError> {
    let hops = reader.u8("hops")?;
    if hops > MAX_HOPS { Err(WireError::Field("hops")) } else { Ok(hops) }
}

fn read_have(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let count = promises(reader)?;
    let id = |_| Ok((reader.array("ids").map(Digest::from_bytes)?, read_hops(reader)?));
    let ids: Vec<(Digest, u8)> = (0..count).map(id).collect::<Result<_, WireError>>()?;
    let canonical = !ids.is_empty() && ids.is_sorted_by(|a, b| a.0 < b.0);
    if canonical { Ok(Message::Have(ids)) } else { Err(WireError::Field("ids")) }
}

fn read_graft(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let count = promises(reader)?;
    let ids: Vec<Digest> =
        (0..count).map(|_| reader.array("ids").map(Digest::from_bytes)).collect::<Result<_, _>>()?;
    if ids.is_sorted_by(|a, b| a < b) { Ok(Message::Graft(ids)) } else { Err(WireError::Field("ids")) }
}

fn promises(reader: &mut Reader<'_>) -> Result<usize, WireError> {
    let count = usize::from(reader.u16("ids")?);
    if count > MAX_PROMISED { Err(WireError::Field("ids")) } else { Ok(count) }
}

fn read_want(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let session = reader.u32("session")?;
    let count = usize::from(reader.u16("ids")?);
    if count > MAX_WANTED {
        return Err(WireError::Field("ids"));
    }
    let ids = (0..count).map(|_| reader.array("ids").map(Digest::from_bytes)).collect::<Result<_, _>>()?;
    Ok(Message::Want { session, ids })
}

fn read_flag(reader: &mut Reader<'_>, name: &'static str) -> Result<bool, WireError> {
    match reader.u8(name)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(WireError::Field(name)),
    }
}

fn read_records(reader: &mut Reader<'_>) -> Result<Message, WireError> {
    let session = reader.u32("session")?;
    let last = read_flag(reader, "last")?;
    let mut records = Vec::new();
    while !reader.0.is_empty() {
        let length = reader.u32("record")? as usize;
        if length > MAX_RECORD {
            return Err(WireError::TooLarge(length));
        }
        records.push(reader.take(length, "record")?.to_vec());
    }
    Ok(Message::Records { session, last, records })
}
