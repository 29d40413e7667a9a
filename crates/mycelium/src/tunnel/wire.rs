//! What two nodes say before the bytes of a tunnel, and when a replica drains.
//!
//! ```text
//! tunnel/1   A: version (1)  length of the id (1 byte)  id        B: answer (1 byte)   then bytes both ways
//! drain/1    B: what (1 byte)  id; for the whole node, no id
//! ```

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::routes;

/// The version of the head.
const VERSION: u8 = 1;
/// The longest id, `app/node/replica`: three names of 63 bytes.
const MAX_ID: usize = 3 * 63 + 2;

/// The replica drains: use another one from now on, and let go of your tunnels to it.
const LEAVES: u8 = 0;
/// It serves again.
const RESUMED: u8 = 1;
/// The whole node is about to be started anew: let go of your tunnels to it, and wait with new ones.
const PAUSES: u8 = 2;

/// What a node answers to the head of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The replica has the connection.
    Open,
    /// The replica has the connection and drains: use another one as soon as there is one.
    Leaving,
    /// No such replica runs there.
    Unknown,
    /// It has drained and is about to stop.
    Drained,
    /// It doesn't accept a connection.
    Dead,
    /// Too many tunnels are open.
    Busy,
    /// The head was not understood.
    Garbage,
    /// The node is about to be started anew: open another tunnel when this one ends.
    Pausing,
}

impl Answer {
    const ALL: [Self; 8] = [
        Self::Open,
        Self::Leaving,
        Self::Unknown,
        Self::Drained,
        Self::Dead,
        Self::Busy,
        Self::Garbage,
        Self::Pausing,
    ];

    /// As it is sent.
    pub(super) fn byte(self) -> u8 {
        self as u8
    }

    /// As it was received.
    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// Why there is no tunnel, for people.
    pub(super) const fn refusal(self) -> &'static str {
        match self {
            Self::Open | Self::Leaving => "it is open",
            Self::Unknown => "its node runs no such replica",
            Self::Drained => "it has drained",
            Self::Dead => "it accepts no connection on its node",
            Self::Busy => "too many tunnels to its node are open",
            Self::Garbage => "its node did not understand the request",
            Self::Pausing => "its node is being restarted",
        }
    }
}

/// The head of a tunnel to the replica `id`.
pub(super) fn head(id: &str) -> io::Result<Vec<u8>> {
    let length = u8::try_from(id.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    Ok([&[VERSION, length], id.as_bytes()].concat())
}

/// Reads the head of a tunnel; `None` if it is none, or ends early.
pub(super) async fn read_head(from: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut start = [0; 2];
    from.read_exact(&mut start).await.ok()?;
    let [VERSION, length] = start else { return None };
    if usize::from(length) > MAX_ID {
        return None;
    }
    let mut id = vec![0; usize::from(length)];
    from.read_exact(&mut id).await.ok()?;
    String::from_utf8(id).ok().filter(|id| is_id(id))
}

/// What a node says of its replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News<'a> {
    /// This one drains, or no longer does.
    Leaves(&'a str, bool),
    /// The whole node is about to be started anew.
    Pauses,
}

impl<'a> News<'a> {
    /// As it is sent.
    pub(super) fn encode(self) -> Vec<u8> {
        match self {
            Self::Leaves(id, leaves) => [&[if leaves { LEAVES } else { RESUMED }], id.as_bytes()].concat(),
            Self::Pauses => vec![PAUSES],
        }
    }

    /// As it was received.
    pub(super) fn read(message: &'a [u8]) -> Option<Self> {
        let (what, id) = message.split_first()?;
        let leaves = match *what {
            LEAVES => true,
            RESUMED => false,
            PAUSES if id.is_empty() => return Some(Self::Pauses),
            _ => return None,
        };
        let id = std::str::from_utf8(id).ok()?;
        is_id(id).then_some(Self::Leaves(id, leaves))
    }
}

/// Whether this can be the name of a replica: `app/node/replica`.
fn is_id(id: &str) -> bool {
    routes::parts(id).is_some()
}

#[cfg(test)]
mod tests;
