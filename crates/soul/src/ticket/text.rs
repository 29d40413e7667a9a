//! The text form of a ticket: `mesh1`, then this in base64url without padding (RFC 4648 §5).
//!
//! ```text
//! length      u16            of all that follows, in bytes
//! root        key            of the genesis
//! recovery    key            of the genesis
//! issuer      key
//! addresses   u8 n, n times  n is 1 to 8: u8 4, 4 bytes, u16 port | u8 6, 16 bytes, u16 port
//! not_after   time
//! secret      32 bytes       the seed of the ticket's Ed25519 key (RFC 8032 §5.1.5)
//! extensions
//! checksum    4 bytes        the first of the SHA-256 of all of the above
//! ```
//! (Parts: see [`crate::wire`].) The length tells a cut-off paste from a wrong one, the checksum a mistake from
//! an attack: neither is a defence. A form that this version can't read will start with another number.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use types::Digest;
use zeroize::Zeroizing;

use crate::wire::{self, FormError, MAX_EXTENSIONS, Reader};
use crate::{Genesis, SecretKey, Ticket};

/// What every ticket of this version starts with.
const PREFIX: &str = "mesh1";
/// The longest ticket, in bytes before base64.
const MAX_BYTES: usize = 2 + 3 * 32 + 1 + super::MAX_ADDRESSES * 19 + 8 + 32 + 2 + MAX_EXTENSIONS + CHECKSUM;
/// Enough to find every mistake of a hand or a terminal.
const CHECKSUM: usize = 4;

/// Why a text is not a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// It doesn't start like one.
    #[error("read the ticket: a ticket starts with {PREFIX}")]
    NotATicket,
    /// Part of it is missing.
    #[error("read the ticket: it is cut off, only {have} of its {want} characters are here; paste it again")]
    CutOff {
        /// The characters that are there.
        have: usize,
        /// The characters there should be.
        want: usize,
    },
    /// Something follows it.
    #[error("read the ticket: {0} characters follow its end")]
    TooLong(usize),
    /// It isn't what was made.
    #[error("read the ticket: characters in it were changed; paste it again")]
    Altered,
    /// It is whole, but not what this program makes.
    #[error("read the ticket: {0}")]
    Form(#[from] FormError),
}

pub(super) fn encode(ticket: &Ticket) -> Zeroizing<String> {
    // Room for all of it from the start: growing would leave copies of the secret behind.
    let mut out = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(ticket.genesis.root().as_bytes());
    out.extend_from_slice(ticket.genesis.recovery().as_bytes());
    out.extend_from_slice(ticket.issuer.as_bytes());
    out.push(u8::try_from(ticket.addresses.len()).expect("at most 8"));
    for address in &ticket.addresses {
        match address {
            SocketAddr::V4(v4) => {
                out.push(4);
                out.extend_from_slice(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                out.push(6);
                out.extend_from_slice(&v6.ip().octets());
            }
        }
        out.extend_from_slice(&address.port().to_be_bytes());
    }
    wire::put_time(&mut out, ticket.not_after);
    out.extend_from_slice(ticket.key.seed().as_slice());
    wire::put_extensions(&mut out, &[]);
    seal(out)
}

/// Sets the length, adds the checksum, and writes it as text.
pub(crate) fn seal(mut out: Zeroizing<Vec<u8>>) -> Zeroizing<String> {
    let length = u16::try_from(out.len() - 2 + CHECKSUM).expect("far below 65,536");
    out[..2].copy_from_slice(&length.to_be_bytes());
    let checksum = Digest::of(&out);
    out.extend_from_slice(&checksum.as_bytes()[..CHECKSUM]);
    let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + MAX_BYTES * 4 / 3 + 1));
    text.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(&*out, &mut text);
    text
}

pub(super) fn decode(text: &str) -> Result<Ticket, TicketError> {
    let body = text.strip_prefix(PREFIX).ok_or(TicketError::NotATicket)?;
    if !body.is_ascii() {
        return Err(TicketError::Altered);
    }
    let whole = |bytes: usize| PREFIX.len() + (bytes * 4).div_ceil(3);
    // The shortest piece whose bytes are the length.
    let head = body.get(..4).ok_or(TicketError::CutOff { have: text.len(), want: whole(2 + CHECKSUM) })?;
    let head = URL_SAFE_NO_PAD.decode(head).map_err(|_| TicketError::Altered)?;
    let length = 2 + usize::from(u16::from_be_bytes([head[0], head[1]]));
    if !(2 + CHECKSUM..=MAX_BYTES).contains(&length) {
        return Err(TicketError::Altered);
    }
    match (text.len(), whole(length)) {
        (have, want) if have < want => return Err(TicketError::CutOff { have, want }),
        (have, want) if have > want => return Err(TicketError::TooLong(have - want)),
        _ => {}
    }
    let mut bytes = Zeroizing::new(vec![0; length]);
    let decoded = URL_SAFE_NO_PAD.decode_slice(body, &mut bytes);
    if decoded != Ok(length) {
        return Err(TicketError::Altered);
    }
    let (content, checksum) = bytes.split_at(length - CHECKSUM);
    if Digest::of(content).as_bytes()[..CHECKSUM] != *checksum {
        return Err(TicketError::Altered);
    }
    Ok(wire::whole(&content[2..], read)?)
}

fn read(reader: &mut Reader<'_>) -> Result<Ticket, FormError> {
    let (root, recovery) = (reader.key("root")?, reader.key("recovery key")?);
    let genesis = Genesis::new(root, recovery).map_err(|_| FormError::Field("recovery key"))?;
    let issuer = reader.key("issuer")?;
    let count = reader.u8("addresses")?;
    if !(1..=super::MAX_ADDRESSES).contains(&usize::from(count)) {
        return Err(FormError::Field("addresses"));
    }
    let addresses = (0..count).map(|_| read_address(reader)).collect::<Result<_, _>>()?;
    let not_after = reader.time("end")?;
    let seed = Zeroizing::new(reader.array("secret")?);
    let key = SecretKey::from_seed(&seed).ok_or(FormError::Field("secret"))?;
    reader.extensions()?;
    Ticket::new(genesis, issuer, addresses, not_after, key).map_err(|_| FormError::Field("addresses"))
}

fn read_address(reader: &mut Reader<'_>) -> Result<SocketAddr, FormError> {
    let field = "addresses";
    Ok(match reader.u8(field)? {
        4 => SocketAddr::from((reader.array::<4>(field)?, reader.u16(field)?)),
        6 => SocketAddr::from((reader.array::<16>(field)?, reader.u16(field)?)),
        _ => return Err(FormError::Field(field)),
    })
}

#[cfg(test)]
mod tests;
