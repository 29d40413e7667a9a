//! What can go wrong, one enum an operation.

use std::net::SocketAddr;

use types::PublicKey;

/// Why an overlay could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No address was given.
    #[error("start the overlay: no address to listen on was given")]
    NoAddress,
    /// One address was given twice, or two that mean every address of a family.
    #[error("listen on {0}: it is given twice")]
    Twice(SocketAddr),
    /// An address is taken, or isn't this machine's.
    #[error("listen on {address} (UDP): {source}")]
    Listen {
        /// The address as configured.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The name of a protocol is empty, too long, has other characters, or is one of the overlay's own.
    #[error(
        "serve the protocol {0:?}: a name has 1 to 32 characters of a-z, 0-9, '-', '.' and '/', and is not ping or datagram"
    )]
    Name(String),
    /// The 32 bytes give a public key that is of no use.
    #[error("use the node's key: {0}")]
    Key(#[from] types::KeyError),
    /// The system's random source failed.
    #[error("read the system's random source: {0}")]
    Random(getrandom::Error),
    /// The limits can't be had.
    #[error("set the limits of the overlay: {0}")]
    Limits(&'static str),
    /// Anything else, in the words of the transport.
    #[error("start the overlay: {0}")]
    Transport(String),
}

/// Why a peer's addresses were not noted. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LearnError {
    /// More addresses than a peer may have.
    #[error("note {given} addresses of {peer}: at most {most} are kept for a peer")]
    Addresses {
        /// Whose.
        peer: PublicKey,
        /// How many were given.
        given: usize,
        /// How many may be.
        most: usize,
    },
    /// The book is full.
    #[error("note the addresses of {peer}: the address book already holds {most} peers")]
    Full {
        /// Whose.
        peer: PublicKey,
        /// How many peers it may hold.
        most: usize,
    },
    /// No packet can be sent to it: port 0, or an unspecified or multicast address.
    #[error("note the address {address} of {peer}: nothing can be sent there")]
    Nowhere {
        /// Whose.
        peer: PublicKey,
        /// Which.
        address: SocketAddr,
    },
}

/// Why a peer could not be reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Nobody said where it lives.
    #[error("reach {0}: no address of it is known")]
    NoAddress(PublicKey),
    /// Nothing came back in time.
    #[error("reach {peer}: no answer from {}", list(.addresses))]
    NoAnswer {
        /// Whom.
        peer: PublicKey,
        /// Where it was looked for.
        addresses: Vec<SocketAddr>,
    },
    /// It turned us away.
    #[error("reach {peer}: it refused: {reason}")]
    Refused {
        /// Who.
        peer: PublicKey,
        /// In its words, cleaned of control characters.
        reason: String,
    },
    /// It does not serve this protocol.
    #[error("reach {peer}: it does not serve {protocol}")]
    NoProtocol {
        /// Who.
        peer: PublicKey,
        /// What.
        protocol: String,
    },
    /// The connection ended, or could not be made.
    #[error("reach {peer}: {reason}")]
    Lost {
        /// Whom.
        peer: PublicKey,
        /// Why.
        reason: String,
    },
    /// A node doesn't dial itself.
    #[error("reach {0}: it is this node")]
    Myself(PublicKey),
    /// The protocol's name can't be one.
    #[error("open a stream for {0:?}: that is no name of a protocol")]
    Name(String),
    /// The overlay is closed, or about to be.
    #[error("reach {0}: the overlay is closed")]
    Closed(PublicKey),
}

/// Why a message or datagram was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It is larger than any may be.
    #[error("send {given} bytes to {peer}: at most {most} fit")]
    TooLarge {
        /// To whom.
        peer: PublicKey,
        /// Its size in bytes.
        given: usize,
        /// The largest size in bytes.
        most: usize,
    },
    /// Too much waits for this peer already: it is slow, or gone.
    #[error("send to {0}: too many messages wait for it")]
    Full(PublicKey),
    /// Nobody said where it lives, and it isn't connected.
    #[error("send to {0}: no address of it is known")]
    NoAddress(PublicKey),
    /// A node doesn't write to itself.
    #[error("send to {0}: it is this node")]
    Myself(PublicKey),
    /// The protocol's name can't be one.
    #[error("send a message for {0:?}: that is no name of a protocol")]
    Name(String),
    /// The overlay is closed, or about to be.
    #[error("send to {0}: the overlay is closed")]
    Closed(PublicKey),
}

fn list(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}
