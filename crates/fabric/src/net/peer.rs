//! Peer: who takes part, as membership tells it from mouth to mouth.
//!
//! The key is the identity; the generation tells one life of it from the next. A peer that was taken for dead
//! comes back under a higher generation, and so does one whose addresses changed: the higher one holds.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use types::{NodeName, PublicKey};

use crate::WireError;
use crate::wire::{Reader, put_text};

/// So many addresses of a peer are passed on; a datagram must hold many peers.
pub const MAX_ADDRESSES: usize = 4;

/// The public key of a node, as 32 bytes: what the overlay has authenticated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PeerId([u8; 32]);

/// One life of a member.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its key.
    pub id: PeerId,
    /// Rises with each start, each return from the dead, and each change of addresses. Milliseconds since
    /// 1970 at the start of the process, so that it needs no disk.
    pub generation: u64,
    /// Whether it says goodbye: its end is then no death.
    pub leaving: bool,
    /// `None` where only the address of a message is meant.
    pub(super) details: Option<Arc<Details>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Details {
    name: NodeName,
    addresses: Vec<SocketAddr>,
}

impl PeerId {
    /// From the 32 bytes of a key.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<PublicKey> for PeerId {
    fn from(key: PublicKey) -> Self {
        Self(*key.as_bytes())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Peer {
    /// A member with all that others need to know; addresses past [`MAX_ADDRESSES`] are left out.
    #[must_use]
    pub fn new(id: PeerId, generation: u64, name: NodeName, mut addresses: Vec<SocketAddr>) -> Self {
        addresses.truncate(MAX_ADDRESSES);
        Self { id, generation, leaving: false, details: Some(Arc::new(Details { name, addresses })) }
    }

    /// The node's name, where it is known.
    #[must_use]
    pub fn name(&self) -> Option<&NodeName> {
        self.details.as_ref().map(|details| &details.name)
    }

    /// Where it says it can be reached, best first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.details.as_ref().map_or(&[], |details| &details.addresses)
    }

    /// The same peer in its next life.
    pub(super) fn next(&self, generation: u64) -> Self {
        Self { generation: generation.max(self.generation.saturating_add(1)), leaving: false, ..self.clone() }
    }

    /// As the address of a message.
    pub(super) fn put_short(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&(self.generation << 1 | u64::from(self.leaving)).to_be_bytes());
    }

    /// With all details.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let details = self.details.as_ref().ok_or(WireError::Field("peer"))?;
        self.put_short(out);
        put_text(out, details.name.as_str());
        out.push(u8::try_from(details.addresses.len()).expect("a peer has few addresses"));
        for address in &details.addresses {
            match address.ip() {
                IpAddr::V4(ip) => {
                    out.push(4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(6);
                    out.extend_from_slice(&ip.octets());
                }
            }
            out.extend_from_slice(&address.port().to_be_bytes());
        }
        Ok(())
    }

    pub(super) fn read_short(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let id = PeerId(reader.array("peer")?);
        let packed = reader.u64("generation")?;
        Ok(Self { id, generation: packed >> 1, leaving: packed & 1 == 1, details: None })
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let short = Self::read_short(reader)?;
        let name = NodeName::new(reader.text("name")?).map_err(|_| WireError::Field("name"))?;
        let count = usize::from(reader.u8("addresses")?);
        if count > MAX_ADDRESSES {
            return Err(WireError::Field("addresses"));
        }
        let mut addresses = Vec::with_capacity(count);
        for _ in 0..count {
            let ip: IpAddr = match reader.u8("addresses")? {
                4 => reader.array::<4>("addresses")?.into(),
                6 => reader.array::<16>("addresses")?.into(),
                _ => return Err(WireError::Field("addresses")),
            };
            addresses.push(SocketAddr::new(ip, reader.u16("addresses")?));
        }
        Ok(Self { details: Some(Arc::new(Details { name, addresses })), ..short })
    }
}

/// Two are the same when they are one life of one key.
impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.generation, self.leaving) == (other.id, other.generation, other.leaving)
    }
}

impl Eq for Peer {}

impl foca::Identity for Peer {
    type Addr = PeerId;

    fn renew(&self) -> Option<Self> {
        (!self.leaving).then(|| self.next(0))
    }

    fn addr(&self) -> PeerId {
        self.id
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        (self.generation, self.leaving) > (adversary.generation, adversary.leaving)
    }
}
