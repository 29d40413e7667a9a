//! Soul: identity, trust and admission (who we are, whom we believe, who belongs to the mesh).
//!
//! It owns a few places on disk and nothing else: a folder of keys, `trust.json`, and in a mesh of many
//! machines a node's [`Papers`] and its issuer's [`TicketBook`]. A secret never leaves as text except into a key
//! file that only its owner may read, or a [`Ticket`]; it is wiped from memory when dropped and `Debug` does not
//! show it. What a key may *do* is not decided here: a valid signature says who signed, the trust store says
//! whether we believe them, a [`Chain`] says that they are a node, and the caller draws the conclusion.
//!
//! Admission: a mesh is founded on a [`Genesis`]; its root signs issuers, and they sign memberships
//! ([`Certificate`]) for whoever redeems a ticket of theirs. [`Roots`] says which root holds. All of it is a
//! function of bytes and of a time that is given: here is no socket, and no clock is read.

mod admission;
mod armor;
mod book;
mod certificate;
mod chain;
mod document;
mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod issuer;
mod keys;
mod papers;
mod public;
mod roots;
mod sealed;
mod secret;
mod succession;
#[cfg(test)]
mod testing;
mod ticket;
mod trust;
mod wire;

pub use admission::{Answer, MAX_ANSWER, MAX_OPERATORS, MAX_REQUEST, Reason, Request, Welcome, WelcomeError};
pub use armor::PaperError;
pub use book::{BookError, Entry, MAX_TICKETS, Redeemed, TicketBook};
pub use certificate::{Certificate, ISSUER_LIFE, MAX_MEMBERSHIP_LIFE, MEMBERSHIP_LIFE, Role};
pub use chain::{CLOCK_SKEW, Chain, Member, Part, Refusal};
pub use error::{FileError, FindError, KeyFileError, TrustError};
pub use issuer::{IssueError, Issuer};
pub use keys::{KeyInfo, KeyStore};
pub use papers::{Papers, PapersError};
pub use public::{PublicKeyError, public_key_from_text, public_key_to_pem};
pub use roots::{Genesis, MAX_SUCCESSIONS, Roots, SameKey, SuccessionError};
pub use sealed::{
    ContentKey, Custodian, KeyService, Label, MAX_SECRET, SealError, ServiceError, UnsealError, content_key,
    seal, unseal,
};
pub use secret::{PemError, SecretKey};
pub use succession::Succession;
pub use ticket::{
    AddressError, JoinRequest, MAX_ADDRESSES, MAX_TICKET_LIFE, TICKET_LIFE, Ticket, TicketError,
};
pub use trust::{TrustStore, Trusted};
pub use wire::FormError;
