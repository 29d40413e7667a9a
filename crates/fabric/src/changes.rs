//! Changes: learning that the store has changed, without learning about each change.

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::Fabric;

/// A subscription to "something changed". Many changes while nobody looks are one; a new subscriber hears of
/// what was there before it. Dropping it ends it.
pub struct Changes {
    fabric: Fabric,
    id: u64,
    seen: u64,
}

impl Changes {
    pub(crate) fn new(fabric: Fabric) -> Self {
        let id = fabric.watch().enter();
        Self { fabric, id, seen: 0 }
    }

    /// Resolves with the version of the store once it is later than what this subscription was told before.
    /// Needs no particular runtime; may be dropped at any point without losing a change.
    pub async fn changed(&mut self) -> u64 {
        poll_fn(|cx| self.poll_changed(cx)).await
    }

    /// [`Changes::changed`], for hand-written futures.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        let poll = self.fabric.watch().poll(self.id, self.seen, cx);
        if let Poll::Ready(version) = poll {
            self.seen = version;
        }
        poll
    }

    /// [`Changes::changed`] for a thread; nothing when `timeout` passes first.
    pub fn wait(&mut self, timeout: Duration) -> Option<u64> {
        let version = self.fabric.watch().wait(self.seen, timeout)?;
        self.seen = version;
        Some(version)
    }

    pub(crate) const fn fabric(&self) -> &Fabric {
        &self.fabric
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.fabric.watch().leave(self.id);
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("seen", &self.seen).finish_non_exhaustive()
    }
}
