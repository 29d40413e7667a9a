//! What two nodes say before the bytes of a tunnel, and when a replica drains.
//!
//! ```text
//! tunnel/1   A: version (1)  length of the id (1 byte)  id        B: answer (1 byte)   then bytes both ways
//! drain/1    B: what (1 byte)  id
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
}

impl Answer {
    const ALL: [Self; 7] =
        [Self::Open, Self::Leaving, Self::Unknown, Self::Drained, Self::Dead, Self::Busy, Self::Garbage];

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

/// The message that a replica drains, or no longer does.
pub(super) fn news(id: &str, leaves: bool) -> Vec<u8> {
    [&[if leaves { LEAVES } else { RESUMED }], id.as_bytes()].concat()
}

/// What a message says: whose, and whether it drains.
pub(super) fn read_news(message: &[u8]) -> Option<(&str, bool)> {
    let (what, id) = message.split_first()?;
    let leaves = match *what {
        LEAVES => true,
        RESUMED => false,
        _ => return None,
    };
    let id = std::str::from_utf8(id).ok()?;
    is_id(id).then_some((id, leaves))
}

/// Whether this can be the name of a replica: `app/node/replica`.
fn is_id(id: &str) -> bool {
    routes::parts(id).is_some()
}

#[cfg(test)]
mod tests;
