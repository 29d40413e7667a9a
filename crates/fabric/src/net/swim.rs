//! Swim: the form of membership's datagrams, and what of them is let through.
//!
//! ```text
//! header   source peer in full, u16 incarnation, addressee (key, generation), u8 message, its fields
//! updates  u16 n, n times: peer in full, u16 incarnation, u8 state
//! ```
//! The library reads a datagram as a whole or not at all; so that one stranger among many updates doesn't
//! cost the others, updates are looked at first, and those about strangers are taken out.

use bytes::{Buf, BufMut};
use foca::{Header, Member, Message, State};

use super::peer::Peer;
use crate::WireError;
use crate::wire::Reader;

#[derive(Debug, Clone, Copy)]
pub(super) struct Codec;

impl foca::Codec<Peer> for Codec {
    type Error = WireError;

    fn encode_header(&mut self, header: &Header<Peer>, buf: impl BufMut) -> Result<(), WireError> {
        let mut out = Vec::with_capacity(160);
        header.src.put(&mut out)?;
        out.extend_from_slice(&header.src_incarnation.to_be_bytes());
        header.dst.put_short(&mut out);
        put_message(&mut out, &header.message);
        put_all(&out, buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Peer>, WireError> {
        read_with(buf, read_header)
    }

    fn encode_member(&mut self, member: &Member<Peer>, buf: impl BufMut) -> Result<(), WireError> {
        let mut out = Vec::with_capacity(96);
        put_member(&mut out, member)?;
        put_all(&out, buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Member<Peer>, WireError> {
        read_with(buf, read_member)
    }
}

fn put_all(bytes: &[u8], mut buf: impl BufMut) -> Result<(), WireError> {
    if buf.remaining_mut() < bytes.len() {
        return Err(WireError::Truncated("datagram"));
    }
    buf.put_slice(bytes);
    Ok(())
}

fn read_with<T>(
    mut buf: impl Buf,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let mut reader = Reader(buf.chunk());
    let before = reader.0.len();
    let value = read(&mut reader)?;
    let used = before - reader.0.len();
    buf.advance(used);
    Ok(value)
}

fn put_message(out: &mut Vec<u8>, message: &Message<Peer>) {
    let (code, peer, number) = match message {
        Message::Ping(number) => (0, None, Some(number)),
        Message::Ack(number) => (1, None, Some(number)),
        Message::PingReq { target, probe_number } => (2, Some(target), Some(probe_number)),
        Message::IndirectPing { origin, probe_number } => (3, Some(origin), Some(probe_number)),
        Message::IndirectAck { target, probe_number } => (4, Some(target), Some(probe_number)),
        Message::ForwardedAck { origin, probe_number } => (5, Some(origin), Some(probe_number)),
        Message::Announce => (6, None, None),
        Message::Feed => (7, None, None),
        Message::Gossip => (8, None, None),
        Message::Broadcast => (9, None, None),
        Message::TurnUndead => (10, None, None),
    };
    out.push(code);
    if let Some(peer) = peer {
        peer.put_short(out);
    }
    out.extend(number);
}

fn read_message(reader: &mut Reader<'_>) -> Result<Message<Peer>, WireError> {
    let code = reader.u8("message")?;
    let peer = if (2..=5).contains(&code) { Some(Peer::read_short(reader)?) } else { None };
    let probe_number = if code <= 5 { reader.u8("message")? } else { 0 };
    Ok(match (code, peer) {
        (0, _) => Message::Ping(probe_number),
        (1, _) => Message::Ack(probe_number),
        (2, Some(target)) => Message::PingReq { target, probe_number },
        (3, Some(origin)) => Message::IndirectPing { origin, probe_number },
        (4, Some(target)) => Message::IndirectAck { target, probe_number },
        (5, Some(origin)) => Message::ForwardedAck { origin, probe_number },
        (6, _) => Message::Announce,
        (7, _) => Message::Feed,
        (8, _) => Message::Gossip,
        // what no peer of ours sends: application data within membership
        (10, _) => Message::TurnUndead,
        _ => return Err(WireError::Field("message")),
    })
}

fn read_header(reader: &mut Reader<'_>) -> Result<Header<Peer>, WireError> {
    let src = Peer::read(reader)?;
    let src_incarnation = reader.u16("incarnation")?;
    let dst = Peer::read_short(reader)?;
    Ok(Header { src, src_incarnation, dst, message: read_message(reader)? })
}

pub(super) fn put_member(out: &mut Vec<u8>, member: &Member<Peer>) -> Result<(), WireError> {
    member.id().put(out)?;
    out.extend_from_slice(&member.incarnation().to_be_bytes());
    out.push(match member.state() {
        State::Alive => 0,
        State::Suspect => 1,
        State::Down => 2,
    });
    Ok(())
}

pub(super) fn read_member(reader: &mut Reader<'_>) -> Result<Member<Peer>, WireError> {
    let peer = Peer::read(reader)?;
    let incarnation = reader.u16("incarnation")?;
    let state = match reader.u8("state")? {
        0 => State::Alive,
        1 => State::Suspect,
        2 => State::Down,
        _ => return Err(WireError::Field("state")),
    };
    Ok(Member::new(peer, incarnation, state))
}

/// A datagram that has been read once: whose it is, and itself without what was not let through.
pub(super) struct Sifted {
    pub(super) source: Peer,
    pub(super) bytes: Vec<u8>,
}

/// Reads a whole datagram, and drops the updates that `admit` refuses.
pub(super) fn sift(bytes: &[u8], mut admit: impl FnMut(&Peer) -> bool) -> Result<Sifted, WireError> {
    let mut reader = Reader(bytes);
    let source = read_header(&mut reader)?.src;
    let header = &bytes[..bytes.len() - reader.0.len()];
    if reader.0.is_empty() {
        return Ok(Sifted { source, bytes: header.to_vec() });
    }
    let count = reader.u16("updates")?;
    let mut kept = 0u16;
    let mut updates = Vec::with_capacity(reader.0.len());
    for _ in 0..count {
        let before = reader.0;
        let member = read_member(&mut reader)?;
        if admit(member.id()) {
            kept += 1;
            updates.extend_from_slice(&before[..before.len() - reader.0.len()]);
        }
    }
    reader.end()?;
    Ok(Sifted { source, bytes: [header, &kept.to_be_bytes(), &updates].concat() })
}
