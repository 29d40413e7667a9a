//! Tickets: what a person carries to a new machine so that it may join.
//!
//! A ticket says which mesh (so that the new node can tell it from any other), where its issuer is, and holds
//! a one-time secret of 32 bytes: the seed of an Ed25519 key. The issuer keeps the public half only, which is
//! the ticket's id, and the new node signs its request with the other. So neither what goes over the wire nor
//! what lies on the issuer's disk lets anybody else in; a shared secret would have to lie there in a form
//! that is as good as itself.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use types::{NodeName, PublicKey, Signature, Signer as _, Timestamp};
use zeroize::Zeroizing;

use crate::wire;
use crate::{Genesis, SecretKey};

pub(crate) mod text;

pub use text::TicketError;

/// How long a ticket holds unless told otherwise: the time to walk to another machine.
pub const TICKET_LIFE: Duration = Duration::from_hours(1);
/// The longest life of a ticket.
pub const MAX_TICKET_LIFE: Duration = Duration::from_hours(30 * 24);
/// The most addresses in a ticket.
pub const MAX_ADDRESSES: usize = 8;
/// What the proof in a request covers first, so that it is good for nothing else.
const DOMAIN: &[u8] = b"mycelium ticket redemption\0";

/// An invitation to one node. Whoever has it can join: `Debug` doesn't show the secret.
#[derive(Debug)]
pub struct Ticket {
    genesis: Genesis,
    issuer: PublicKey,
    addresses: Vec<SocketAddr>,
    not_after: Timestamp,
    key: SecretKey,
}

/// Why an address can't stand in a ticket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// None, or too many.
    #[error("put {0} addresses into a ticket: 1 to {MAX_ADDRESSES} fit")]
    Count(usize),
    /// Nobody can connect to it, or only on this machine.
    #[error(
        "put the address {0} into a ticket: it needs a port and one machine's address without a scope, written once and as IPv4 where it is one"
    )]
    Unusable(SocketAddr),
}

impl Ticket {
    /// A new ticket with a secret of its own. It is worth something once a [`crate::TicketBook`] knows it.
    pub(crate) fn new(
        genesis: Genesis,
        issuer: PublicKey,
        addresses: Vec<SocketAddr>,
        not_after: Timestamp,
        key: SecretKey,
    ) -> Result<Self, AddressError> {
        if !(1..=MAX_ADDRESSES).contains(&addresses.len()) {
            return Err(AddressError::Count(addresses.len()));
        }
        let mut seen = BTreeSet::new();
        match addresses.iter().find(|address| !is_usable(address) || !seen.insert(**address)) {
            Some(bad) => Err(AddressError::Unusable(*bad)),
            None => Ok(Self { genesis, issuer, addresses, not_after, key }),
        }
    }

    /// Which mesh it lets a node into.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The node at which it is redeemed. Connect to nobody who can't prove this key.
    #[must_use]
    pub const fn issuer(&self) -> &PublicKey {
        &self.issuer
    }

    /// Where that node is, the best address first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Until when it may be redeemed, by the issuer's clock.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Its name in the issuer's book: the public half of its secret.
    #[must_use]
    pub fn id(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The request that redeems it for `joiner`, under `name`.
    #[must_use]
    pub fn redeem(&self, joiner: &PublicKey, name: NodeName) -> JoinRequest {
        let message = proof_message(&self.genesis, &self.issuer, joiner, &name);
        let proof = self.key.sign(&message).expect("a key in memory signs");
        JoinRequest { ticket: self.id(), name, proof }
    }

    /// The form that people paste. It holds the secret: it is wiped when dropped, and belongs in no log.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        text::encode(self)
    }

    /// Reads what people paste: `mesh1` and what follows, without white space around it.
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        text::decode(text)
    }
}

/// What a new node asks for, over a channel in which both sides proved their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequest {
    /// The ticket's id.
    pub ticket: PublicKey,
    /// The name that the node wishes to have.
    pub name: NodeName,
    /// Signed with the ticket's secret, over the mesh, the issuer, the node's key and its name: it is good for
    /// that node under that name at that issuer only, whoever overhears it.
    pub proof: Signature,
}

impl JoinRequest {
    /// Whether whoever made the request holds the ticket, and made it for `joiner` to show to `issuer`.
    pub(crate) fn is_proven(&self, genesis: &Genesis, issuer: &PublicKey, joiner: &PublicKey) -> bool {
        let message = proof_message(genesis, issuer, joiner, &self.name);
        self.ticket.verify(&message, &self.proof).is_ok()
    }
}

fn proof_message(genesis: &Genesis, issuer: &PublicKey, joiner: &PublicKey, name: &NodeName) -> Vec<u8> {
    let mut out = DOMAIN.to_vec();
    out.extend_from_slice(genesis.mesh().as_bytes());
    out.extend_from_slice(issuer.as_bytes());
    out.extend_from_slice(joiner.as_bytes());
    wire::put_name(&mut out, name);
    out
}

/// Whether another machine could connect to it, and it has this one form only.
fn is_usable(address: &SocketAddr) -> bool {
    let one_machine = |ip: IpAddr| !ip.is_unspecified() && !ip.is_multicast();
    address.port() != 0
        && one_machine(address.ip())
        && match address {
            SocketAddr::V4(v4) => !v4.ip().is_broadcast(),
            SocketAddr::V6(v6) => {
                v6.ip().to_ipv4_mapped().is_none() && v6.scope_id() == 0 && v6.flowinfo() == 0
            }
        }
}

#[cfg(test)]
mod tests;
