//! An issuer's ticket book: which tickets are open, and who was let in by which, in one file, `tickets.json`.
//!
//! A redemption is on disk, synced, before it is answered. So a crash at any instant leaves one of two books:
//! the ticket is open, and nobody has an answer; or it belongs to one key, which asks again and is answered.
//! In neither can a second key come in by it. Expiry is judged by the issuer's clock alone, which made it. The book holds the public halves of tickets only: whoever reads
//! it can't redeem one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use types::{NodeName, PublicKey, Timestamp};

use crate::chain::CLOCK_SKEW;
use crate::files::{Locked, io_error, make_private_dir, read_bounded};
use crate::ticket::{AddressError, MAX_TICKET_LIFE};
use crate::{Answer, FileError, Genesis, IssueError, Issuer, JoinRequest, Reason, SecretKey, Ticket};

pub(crate) mod format;

/// The name of the file in its folder.
const FILE: &str = "tickets.json";
/// More than [`MAX_TICKETS`] entries of the longest name.
const MAX_FILE: u64 = 1024 * 1024;
/// The most tickets in a book. Each redemption writes the whole of it.
pub const MAX_TICKETS: usize = 1000;
/// How long an expired ticket stays in the book, so that its refusal can say what happened to it.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// The tickets of one issuer. Several processes may use it at once.
#[derive(Debug)]
pub struct TicketBook {
    dir: PathBuf,
    path: PathBuf,
}

/// What may be shown of a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id. For people, its fingerprint.
    pub ticket: PublicKey,
    /// Until when it may be redeemed.
    pub not_after: Timestamp,
    /// By whom it was, if it was.
    pub redeemed: Option<Redeemed>,
}

/// Who was let in by a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// The node's key: it alone may ask again.
    pub key: PublicKey,
    /// Its name.
    pub name: NodeName,
    /// When it was last answered.
    pub at: Timestamp,
}

/// Why the book could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// There is no room for one more.
    #[error("make a ticket: there are {MAX_TICKETS} already; remove some, or wait until they expire")]
    Full,
    /// It would hold too long, or not at all.
    #[error("make a ticket: it can hold for up to {} days", MAX_TICKET_LIFE.as_secs() / 86_400)]
    Life,
    /// Nobody could find the issuer.
    #[error("make a ticket: {0}")]
    Address(#[from] AddressError),
    /// The system's random source failed.
    #[error("make a ticket: the system's random source failed: {0}")]
    Random(String),
}

type Entries = BTreeMap<PublicKey, Entry>;

impl TicketBook {
    /// Opens the book in `dir`, which is made (0700) if it isn't there. No file means no tickets yet.
    pub fn open(dir: &Path) -> Result<Self, BookError> {
        make_private_dir(dir).map_err(io_error("create the folder", dir))?;
        let book = Self { dir: dir.to_owned(), path: dir.join(FILE) };
        book.read()?;
        Ok(book)
    }

    /// Makes a ticket for one node, that holds for `life` from `now`.
    pub fn issue(
        &self,
        genesis: Genesis,
        issuer: PublicKey,
        addresses: Vec<SocketAddr>,
        now: Timestamp,
        life: Duration,
    ) -> Result<Ticket, BookError> {
        if life.is_zero() || life > MAX_TICKET_LIFE {
            return Err(BookError::Life);
        }
        let key = SecretKey::generate().map_err(|e| BookError::Random(e.to_string()))?;
        let ticket = Ticket::new(genesis, issuer, addresses, now + life, key)?;
        self.change(|entries| {
            sweep(entries, now);
            if entries.len() >= MAX_TICKETS {
                return Err(BookError::Full);
            }
            let entry = Entry { ticket: ticket.id(), not_after: ticket.not_after(), redeemed: None };
            entries.insert(entry.ticket, entry);
            Ok(((), true))
        })?;
        Ok(ticket)
    }

    /// Every ticket that isn't long expired, soonest to expire first.
    pub fn list(&self) -> Result<Vec<Entry>, BookError> {
        let mut all: Vec<_> = self.read()?.into_values().collect();
        all.sort_by_key(|entry| (entry.not_after, entry.ticket));
        Ok(all)
    }

    /// Makes a ticket void; whether it was there. Whoever was let in by it stays in.
    pub fn remove(&self, ticket: &PublicKey) -> Result<bool, BookError> {
        self.change(|entries| {
            let there = entries.remove(ticket).is_some();
            Ok((there, there))
        })
    }

    /// Answers a node that asks to be let in; `peer` is the key it proved to the channel.
    ///
    /// The same key under the same name may ask until the ticket expires, since its answer may have been lost:
    /// it gets a membership each time. When this returns a welcome, the redemption is on disk.
    ///
    /// It blocks: for a read of the book if it refuses, for two syncs if not. How often a stranger may ask is for
    /// the caller to bound.
    pub fn redeem(
        &self,
        request: &JoinRequest,
        peer: &PublicKey,
        issuer: &Issuer<'_>,
        now: Timestamp,
    ) -> Result<Answer, IssueError> {
        self.change(|entries| {
            sweep(entries, now);
            if let Err(reason) = decide(entries, request, peer, issuer, now) {
                return Ok((Answer::Refused(reason), false));
            }
            // Signed first: an issuer that can't sign uses up no ticket.
            let welcome = issuer.welcome(peer, request.name.clone(), now)?;
            if let Some(entry) = entries.get_mut(&request.ticket) {
                entry.redeemed = Some(Redeemed { key: *peer, name: request.name.clone(), at: now });
            }
            // Written for one that asks again too: the last time may have ended before it was synced.
            Ok((Answer::Welcome(Box::new(welcome)), true))
        })
    }

    /// Reads, changes and, where `edit` says so, writes under the lock.
    fn change<T, E: From<FileError>>(
        &self,
        edit: impl FnOnce(&mut Entries) -> Result<(T, bool), E>,
    ) -> Result<T, E> {
        let locked = Locked::take(&self.dir).map_err(io_error("lock the folder", &self.dir))?;
        let mut entries = self.read()?;
        let (result, changed) = edit(&mut entries)?;
        if changed {
            let bytes = format::encode(entries.values());
            locked.replace(FILE, &bytes, 0o600).map_err(io_error("write the ticket book", &self.path))?;
        }
        Ok(result)
    }

    fn read(&self) -> Result<Entries, FileError> {
        let bytes = read_bounded(&self.path, MAX_FILE)?;
        let malformed = |reason| FileError::Malformed { path: self.path.clone(), reason };
        bytes.map_or_else(|| Ok(Entries::new()), |bytes| format::decode(&bytes).map_err(malformed))
    }
}

/// Whether the request is granted, by the book as it stands.
fn decide(
    entries: &Entries,
    request: &JoinRequest,
    peer: &PublicKey,
    issuer: &Issuer<'_>,
    now: Timestamp,
) -> Result<(), Reason> {
    let entry = entries.get(&request.ticket).ok_or(Reason::Unknown)?;
    if !request.is_proven(issuer.roots.genesis(), &issuer.key.public_key(), peer) {
        return Err(Reason::Proof);
    }
    if issuer.revoked.contains(peer) {
        return Err(Reason::Revoked);
    }
    match &entry.redeemed {
        Some(redeemed) if redeemed.key != *peer => return Err(Reason::Used),
        _ if entry.not_after < now => return Err(Reason::TicketExpired),
        Some(redeemed) if redeemed.name != request.name => return Err(Reason::OtherName),
        _ => {}
    }
    // A node that was let in a moment ago may not be among the members yet: the book knows it.
    let is_promised = |to: &Redeemed| {
        to.name == request.name
            && to.key != *peer
            && !issuer.revoked.contains(&to.key)
            && now <= to.at + issuer.life + CLOCK_SKEW
    };
    let promised = entries.values().filter_map(|entry| entry.redeemed.as_ref()).any(is_promised);
    if promised || issuer.is_taken(&request.name, peer) { Err(Reason::NameTaken) } else { Ok(()) }
}

fn sweep(entries: &mut Entries, now: Timestamp) {
    entries.retain(|_, entry| entry.not_after + KEPT >= now);
}

#[cfg(test)]
mod tests;
