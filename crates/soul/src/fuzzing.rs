//! Files as functions of bytes, and what only holders of keys could make: for the fuzz targets and their corpora,
//! for nobody else.

use types::{PublicKey, Signer as _, Timestamp};

use crate::trust::format;
use crate::{Chain, Entry, Genesis, Roots, SecretKey, Succession, Ticket, TicketError, Trusted};

/// When the papers of the corpora hold.
pub const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Reads the content of a `trust.json`: everybody in it, by key.
pub fn trust_file(bytes: &[u8]) -> Result<Vec<Trusted>, String> {
    Ok(format::decode(bytes)?.into_values().collect())
}

/// The content of a `trust.json` with these publishers.
#[must_use]
pub fn trust_file_of(publishers: &[Trusted]) -> Vec<u8> {
    format::encode(publishers.iter())
}

/// Reads the content of a `tickets.json`.
pub fn ticket_book(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    Ok(crate::book::format::decode(bytes)?.into_values().collect())
}

/// The content of a `tickets.json` with these entries.
#[must_use]
pub fn ticket_book_of(entries: &[Entry]) -> Vec<u8> {
    crate::book::format::encode(entries.iter())
}

/// The ticket whose content these bytes are, with the length and checksum that belong to them.
pub fn sealed_ticket(content: &[u8]) -> Result<Ticket, TicketError> {
    let content = &content[..content.len().min(1024)];
    Ticket::parse(&crate::ticket::text::seal([&[0; 2], content].concat().into()))
}

/// The roots of the mesh of the corpora: its root is key 1, its recovery key 2.
#[must_use]
pub fn roots() -> Roots {
    Roots::new(Genesis::new(public(1), public(2)).expect("two keys"))
}

/// The same chain, signed by a root (1) and an issuer (3) of that mesh; the rest of what it says stays.
#[must_use]
pub fn chain_of_the_mesh(mut chain: Chain) -> Chain {
    chain.issuer.subject = public(3);
    for (certificate, signer) in [(&mut chain.issuer, 1), (&mut chain.membership, 3)] {
        certificate.mesh = roots().mesh();
        *certificate = certificate.clone().signed(&key(signer)).expect("a key in memory signs");
    }
    chain
}

/// The same succession, signed by the recovery key (2) of that mesh.
#[must_use]
pub fn succession_of_the_mesh(mut succession: Succession) -> Succession {
    succession.mesh = roots().mesh();
    succession.signed(&key(2)).expect("a key in memory signs")
}

fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).expect("any seed makes a key")
}

fn public(seed: u8) -> PublicKey {
    key(seed).public_key()
}

#[cfg(test)]
mod tests;
