//! What goes into a step of the network, and what comes out.

use std::net::SocketAddr;
use std::time::Duration;

use types::PublicKey;

use super::peer::{Peer, PeerId};
use crate::{Absence, Receipt, Record, Refused, WireError};

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// At most 1,200 bytes; may be lost, doubled, overtaken.
    Datagram,
    /// At most 256 KiB; arrives whole and in order, or the link breaks ([`Input::Unreachable`]).
    Reliable,
}

/// One step.
#[derive(Debug)]
pub enum Input {
    /// These are, or were, in the mesh: meet them. Their addresses are the overlay's business.
    Join(Vec<PeerId>),
    /// A message over a link that the overlay has authenticated as `from`.
    Received {
        /// Whose link it is.
        from: PeerId,
        /// How it came.
        class: Class,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The time of [`Output::Timer`] has come.
    Timer,
    /// A record that was written here and is in the store: tell everyone.
    Publish(Box<Record>),
    /// The link to this peer broke, or can't be made. Its death is for membership to find out.
    Unreachable(PeerId),
    /// This node can be reached at other addresses from now on.
    Addresses(Vec<SocketAddr>),
    /// Say goodbye. No input has an effect after it.
    Leave,
}

/// What follows from a step; to be carried out in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send this.
    Send {
        /// To whom.
        to: PeerId,
        /// How.
        class: Class,
        /// What.
        bytes: Vec<u8>,
    },
    /// Come back at this time with [`Input::Timer`]; replaces every earlier wish.
    Timer(Duration),
    /// These are a member's addresses now: let go of the old ones.
    Learn {
        /// Whose.
        peer: PeerId,
        /// Best first.
        addresses: Vec<SocketAddr>,
    },
    /// A member came, or what is known of one changed.
    Member(Event),
    /// A record is in the store that was not there before: sync it when it suits.
    Stored(Receipt),
    /// This node was away for longer than tombstones live, or is so no longer.
    Absence(Absence),
    /// A peer, or a writer of records, does what nobody should. At most one a second and peer.
    Misbehaviour {
        /// Who sent it.
        peer: PeerId,
        /// What it did.
        why: Offence,
    },
}

/// What happened to a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It is here, for the first time or again.
    Up(Peer),
    /// It doesn't answer any more. Nothing should be sent there; nothing should be placed anew yet.
    Down(PeerId),
    /// It has been down for 5 seconds: what it ran is to be placed anew.
    Dead(PeerId),
    /// It said goodbye: what it ran is to be placed anew at once.
    Left(PeerId),
}

/// What nobody should do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Offence {
    /// Not in the form of its kind.
    #[error("read its message: {0}")]
    Malformed(#[from] WireError),
    /// Reconciliation that makes no sense.
    #[error("reconcile with it: {0}")]
    Reconcile(&'static str),
    /// A record that doesn't hold.
    #[error("take its record: {0}")]
    Record(#[from] Refused),
    /// It speaks in another's name.
    #[error("believe it: it speaks for another node")]
    Spoofed,
    /// It is not, or not yet, known to the mesh under that name.
    #[error("let it in: the mesh doesn't know its name and key")]
    Stranger,
    /// Its generation is of the future.
    #[error("believe its generation {0}: is its clock right?")]
    Future(u64),
    /// More messages or bytes than one peer may send.
    #[error("keep up with it: it sends more than a peer may")]
    Flood,
    /// More new records of one writer than anybody may write; whoever sent them may be innocent.
    #[error("keep up with {}: it writes more than anybody may", .0.fingerprint())]
    Writer(PublicKey),
}

/// Counters since the start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages and bytes sent as datagrams.
    pub datagrams_out: (u64, u64),
    /// Messages and bytes sent reliably.
    pub reliable_out: (u64, u64),
    /// Messages and bytes received as datagrams.
    pub datagrams_in: (u64, u64),
    /// Messages and bytes received reliably.
    pub reliable_in: (u64, u64),
    /// Messages of later versions or kinds, passed over.
    pub unknown: u64,
    /// Messages refused, for whatever reason.
    pub refused: u64,
    /// Records that were new, refused, or here already.
    pub records_new: u64,
    /// See `records_new`.
    pub records_refused: u64,
    /// See `records_new`.
    pub records_known: u64,
    /// Sessions of reconciliation begun.
    pub sessions: u64,
    /// Times that we ran late and forgave others for it.
    pub lags: u64,
}

impl Class {
    /// The most bytes of one message.
    #[must_use]
    pub const fn limit(self) -> usize {
        match self {
            Self::Datagram => super::envelope::MAX_DATAGRAM,
            Self::Reliable => super::envelope::MAX_MESSAGE,
        }
    }
}
