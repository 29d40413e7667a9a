//! Hyphae: the encrypted node-to-node overlay.
//!
//! One QUIC connection a pair of nodes (RFC 9000, by `quinn`), authenticated by both nodes' Ed25519 keys (RFC 7250 raw
//! keys in TLS 1.3). On it run as many streams as are needed, ordered one-way messages, and datagrams. Who may speak
//! which protocol is asked of a [`Gate`]; where a peer lives is told by [`Overlay::learn`].
//!
//! It sends packets to nobody but the addresses that it was told and those that dialled it: no relay, no DNS, no
//! discovery, no port mapper. It never decides who is a member, never gossips addresses by itself, and keeps nothing on
//! disk.

mod accept;
mod book;
mod close;
mod config;
mod dial;
mod doubt;
mod endpoint;
mod error;
mod gate;
mod identity;
mod janitor;
mod legacy;
mod line;
mod link;
mod message;
mod outbox;
mod overlay;
mod peer;
mod pick;
mod protocol;
mod race;
mod relay;
mod serve;
mod shared;
mod stream;
mod table;
mod tag;
mod tls;
mod verify;
mod wire;

pub use config::{Config, Limits};
pub use error::{LearnError, OpenError, SendError, StartError};
pub use gate::Gate;
pub use overlay::Overlay;
pub use peer::Peer;
pub use protocol::Protocol;
pub use stream::Stream;
pub use wire::{DATAGRAM, MAX_DATAGRAM, MAX_MESSAGE, PING};
