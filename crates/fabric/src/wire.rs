//! The canonical binary form of a record, version 1: one record has one form, and every other is refused.
//!
//! ```text
//! version    u16                     1
//! mesh       32 bytes
//! kind       u8 n, n bytes           1 to 32 of a-z 0-9 -
//! namespace  u8 n, n bytes           a DNS label
//! owner      u8 0                    an operator
//!          | u8 1, u8 n, n bytes     a node: its name
//! name       u8 n, n bytes           1 to 4 DNS labels joined by '/'
//! writer     32 bytes                Ed25519 public key
//! order      u64, u64                generation, 0 | incarnation, sequence
//! expires    u8 0 | u8 1, u64        never | Unix milliseconds
//! body       u8 0                    a removal (which must expire)
//!          | u8 1, u32 n, n bytes    JSON, 1 to 65,536 bytes
//! signature  64 bytes                over DOMAIN and all of the above
//! ```
//! Numbers are big-endian, texts UTF-8. The version stands first, so that a later one may change the rest.

use types::{Digest, Namespace, NodeName, PublicKey, Signature, Timestamp};

use crate::order::MAX_ORDER;
use crate::{Draft, Key, Kind, MAX_PAYLOAD, MeshId, Order, Owner, Record};

/// The version of the wire form that this code reads and writes.
pub const VERSION: u16 = 1;
/// No record is longer, in bytes.
pub const MAX_RECORD: usize = 66 * 1024;
/// How long a signature is, which stands at the end.
const SIGNATURE: usize = 64;
/// What a signature of a record covers first, so that it is good for nothing else.
const DOMAIN: &[u8] = b"mycelium fabric record\0";

/// Why some bytes are not a record in canonical form, or a draft has none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A wire version of somebody newer, or nonsense.
    #[error("its wire version is {0}, this node knows {VERSION}")]
    Version(u16),
    /// It ends in the middle of a field.
    #[error("it ends within its {0}")]
    Truncated(&'static str),
    /// Bytes after the signature.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A field that is not in canonical form.
    #[error("its {0} is not in canonical form")]
    Field(&'static str),
    /// A payload over the bound.
    #[error("its payload of {0} bytes is over {MAX_PAYLOAD}")]
    TooLarge(usize),
    /// A removal that would stay for ever.
    #[error("it is a removal without an expiry")]
    Everlasting,
}

/// The bytes that the writer signs.
pub(crate) fn message(draft: &Draft, writer: &PublicKey) -> Vec<u8> {
    let mut out = DOMAIN.to_vec();
    put_signed(&mut out, draft, writer);
    out
}

pub(crate) fn encode(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(320 + record.payload().map_or(0, <[u8]>::len));
    put_signed(&mut out, &record.draft, &record.writer);
    out.extend_from_slice(record.signature.as_bytes());
    out
}

fn put_signed(out: &mut Vec<u8>, draft: &Draft, writer: &PublicKey) {
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(draft.mesh.as_bytes());
    put_key(out, &draft.key);
    out.extend_from_slice(writer.as_bytes());
    out.extend_from_slice(&draft.order.major.to_be_bytes());
    out.extend_from_slice(&draft.order.minor.to_be_bytes());
    match draft.expires {
        None => out.push(0),
        Some(at) => {
            out.push(1);
            out.extend_from_slice(&at.as_millis().to_be_bytes());
        }
    }
    match &draft.payload {
        None => out.push(0),
        Some(payload) => {
            out.push(1);
            let length = u32::try_from(payload.len()).expect("a payload's length was checked");
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(payload);
        }
    }
}

/// Kind, namespace, owner and name, as they stand in a record; journals use it as a key too.
pub(crate) fn put_key(out: &mut Vec<u8>, key: &Key) {
    put_text(out, key.kind.as_str());
    put_text(out, key.namespace.as_str());
    match &key.owner {
        Owner::Operator => out.push(0),
        Owner::Node(node) => {
            out.push(1);
            put_text(out, node.as_str());
        }
    }
    put_text(out, key.name.as_str());
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.push(u8::try_from(text.len()).expect("no text in a key is over 255 bytes"));
    out.extend_from_slice(text.as_bytes());
}

/// What holds for every record, whoever made it.
pub(crate) fn check_shape(draft: &Draft) -> Result<(), WireError> {
    let Order { major, minor } = draft.order;
    if major == 0 || major > MAX_ORDER || minor > MAX_ORDER {
        return Err(WireError::Field("order"));
    }
    if draft.key.owner == Owner::Operator && minor != 0 {
        return Err(WireError::Field("order"));
    }
    match &draft.payload {
        None if draft.expires.is_none() => Err(WireError::Everlasting),
        Some(payload) if payload.is_empty() => Err(WireError::Field("payload")),
        Some(payload) if payload.len() > MAX_PAYLOAD => Err(WireError::TooLarge(payload.len())),
        _ => Ok(()),
    }
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Record, WireError> {
    let mut reader = Reader(bytes);
    let version = reader.u16("version")?;
    if version != VERSION {
        return Err(WireError::Version(version));
    }
    let mesh = MeshId::from_bytes(reader.array("mesh id")?);
    let key = reader.key()?;
    let writer = PublicKey::from_bytes(reader.take(32, "writer")?).map_err(|_| WireError::Field("writer"))?;
    let order = Order { major: reader.u64("order")?, minor: reader.u64("order")? };
    let expires = match reader.u8("expiry")? {
        0 => None,
        1 => Some(reader.time("expiry")?),
        _ => return Err(WireError::Field("expiry")),
    };
    let payload = match reader.u8("payload")? {
        0 => None,
        1 => Some(reader.payload()?.to_vec()),
        _ => return Err(WireError::Field("payload")),
    };
    let signature = Signature::from_bytes(reader.array("signature")?);
    if !reader.0.is_empty() {
        return Err(WireError::Trailing(reader.0.len()));
    }
    let draft = Draft { mesh, key, order, expires, payload };
    check_shape(&draft)?;
    let id = Digest::of(&message(&draft, &writer));
    Ok(Record { draft, writer, signature, id })
}

/// The place in a batch of what may be a record: see [`Kind::precedence`]. The last for what is none.
pub(crate) fn precedence(bytes: &[u8]) -> u8 {
    let mut reader = Reader(bytes);
    let kind =
        reader.u16("version").and_then(|_| reader.take(32, "mesh id")).and_then(|_| reader.text("kind"));
    kind.ok().and_then(|kind| kind.parse::<Kind>().ok()).map_or(u8::MAX, |kind| kind.precedence())
}

/// The id of what is a record in wire form; a digest of no meaning for what is none.
pub(crate) fn id(bytes: &[u8]) -> Option<Digest> {
    let signed = bytes.len().checked_sub(SIGNATURE)?;
    Some(Digest::of(&[DOMAIN, &bytes[..signed]].concat()))
}

/// Reads a key that [`put_key`] wrote, and nothing after it.
pub(crate) fn decode_key(bytes: &[u8]) -> Result<Key, WireError> {
    let mut reader = Reader(bytes);
    let key = reader.key()?;
    if reader.0.is_empty() { Ok(key) } else { Err(WireError::Trailing(reader.0.len())) }
}

/// The rest of the input; never reads past it, never allocates before it has checked.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(WireError::Truncated(field))?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(WireError::Truncated(field))?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(crate) fn text(&mut self, field: &'static str) -> Result<&'a str, WireError> {
        let length = usize::from(self.u8(field)?);
        std::str::from_utf8(self.take(length, field)?).map_err(|_| WireError::Field(field))
    }

    /// Nothing may follow.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() { Ok(()) } else { Err(WireError::Trailing(self.0.len())) }
    }

    fn time(&mut self, field: &'static str) -> Result<Timestamp, WireError> {
        let millis = self.u64(field)?;
        let time = Timestamp::from_millis(millis);
        if time.as_millis() == millis { Ok(time) } else { Err(WireError::Field(field)) }
    }

    fn key(&mut self) -> Result<Key, WireError> {
        let kind = self.text("kind")?.parse().map_err(|_| WireError::Field("kind"))?;
        let namespace = Namespace::new(self.text("namespace")?).map_err(|_| WireError::Field("namespace"))?;
        let owner = match self.u8("owner")? {
            0 => Owner::Operator,
            1 => Owner::Node(NodeName::new(self.text("owner")?).map_err(|_| WireError::Field("owner"))?),
            _ => return Err(WireError::Field("owner")),
        };
        let name = self.text("name")?.parse().map_err(|_| WireError::Field("name"))?;
        Ok(Key { kind, namespace, owner, name })
    }

    fn payload(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.array("payload").map(u32::from_be_bytes)? as usize;
        if length > MAX_PAYLOAD {
            return Err(WireError::TooLarge(length));
        }
        self.take(length, "payload")
    }
}

#[cfg(test)]
mod tests;
