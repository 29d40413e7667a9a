//! Tags: by which run of this node a packet is to be read.
//!
//! Every connection id that a run gives out begins with its tag (RFC 9000 §5.1 leaves their content to whoever gives them
//! out). Two runs that share a socket while the one hands over to the other tell their packets apart by it.

use quinn::udp::RecvMeta;
use quinn::{ConnectionId, ConnectionIdGenerator};

/// What the connection ids of a run begin with.
pub type Tag = [u8; 2];

/// The length of a connection id.
const LENGTH: usize = 8;
/// Of a packet's first byte: it has the long header (RFC 8999 §5.1).
const LONG: u8 = 0x80;

/// A tag that is none of these.
pub fn other_than(others: &[Tag]) -> Result<Tag, getrandom::Error> {
    loop {
        let mut tag = [0; 2];
        getrandom::fill(&mut tag)?;
        if !others.contains(&tag) {
            return Ok(tag);
        }
    }
}

/// Connection ids of a run: its tag and 48 random bits. The library's own have 24, of which each has the same reset
/// token again after a restart: who once was a peer would know those of others.
pub struct Ids(pub Tag);

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = [0; LENGTH];
        getrandom::fill(&mut id).expect("the system's random source, which worked at the start");
        id[..2].copy_from_slice(&self.0);
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// Takes the packets for runs with other tags out of what came together; they are left with the others' order.
pub fn divide(buffer: &mut [u8], meta: &mut RecvMeta, others: &[Tag]) -> Vec<u8> {
    let mut taken = Vec::new();
    let mut kept = 0;
    for start in (0..meta.len).step_by(meta.stride.max(1)) {
        let end = (start + meta.stride).min(meta.len);
        if of(&buffer[start..end]).is_some_and(|tag| others.contains(&tag)) {
            taken.extend_from_slice(&buffer[start..end]);
        } else {
            buffer.copy_within(start..end, kept);
            kept += end - start;
        }
    }
    meta.len = kept;
    taken
}

/// The tag of the connection id that a packet is for; `None` where no run gave it out, as a client's first one.
fn of(packet: &[u8]) -> Option<Tag> {
    let id = match packet.first()? {
        first if first & LONG == 0 => packet.get(1..3)?,
        _ if usize::from(*packet.get(5)?) == LENGTH => packet.get(6..8)?,
        _ => return None,
    };
    id.try_into().ok()
}

#[cfg(test)]
mod tests;
