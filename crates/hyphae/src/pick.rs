//! Which of two connections to one peer is used. Pure, so that both ends come to the same answer.
//!
//! A node dials only a peer that it has no connection to. So a second one means one of two things. Both dialled at once:
//! then the connection dialled by the smaller key is used, by both alike, and the other one idles until it is closed.
//! Or the peer lost the first one, most often because it was restarted: then the second takes its place at once.

use std::time::Duration;

/// What there is to know about a connection here.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The number that the peer's run greeted with.
    pub run: u64,
    /// Whether this node dialled.
    pub ours: bool,
    /// When it was ready, since this node's start.
    pub since: Duration,
}

/// What a new connection means for an older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The older one is of no more use: close it.
    Replace,
    /// Keep both, use the new one.
    UseNew,
    /// Keep both, go on using the older one.
    UseOld,
}

/// Compares the connection `new` with the one before it. `smaller`: this node's key is smaller than the peer's. `window`:
/// how far apart two dials at once can be ready.
pub fn pick(old: Facts, new: Facts, smaller: bool, window: Duration) -> Verdict {
    let at_once = new.since.abs_diff(old.since) <= window;
    if old.run != new.run || old.ours == new.ours || !at_once {
        Verdict::Replace
    } else if new.ours == smaller {
        Verdict::UseNew
    } else {
        Verdict::UseOld
    }
}

#[cfg(test)]
mod tests;
