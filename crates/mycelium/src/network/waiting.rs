//! Messages that wait: they carry records that this node has in hand. Others get them once it has come to terms
//! with them itself, and never if it ends over one.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use fabric::net::{Class, PeerId, carried_ids};
use types::Digest;

use crate::quarantine::Quarantine;

/// So many bytes wait at most; what is over comes by reconciliation, later.
const MAX_WAITING: usize = 64 << 20;

/// One message, to be sent.
pub(crate) struct Message {
    pub(crate) to: PeerId,
    pub(crate) class: Class,
    pub(crate) bytes: Bytes,
    /// Since when it waits.
    since: Instant,
}

/// The messages that wait, in order.
pub(crate) struct Waiting {
    quarantine: Quarantine,
    messages: VecDeque<(Message, Vec<Digest>)>,
    size: usize,
    /// The last one that was looked into: news go to many at once.
    last: (Bytes, Vec<Digest>),
}

impl Waiting {
    pub(crate) fn new(quarantine: Quarantine) -> Self {
        Self { quarantine, messages: VecDeque::new(), size: 0, last: (Bytes::new(), Vec::new()) }
    }

    /// Keeps a message that has to wait; gives back one that may go.
    pub(crate) fn keep(&mut self, to: PeerId, class: Class, bytes: Vec<u8>) -> Option<Message> {
        if self.quarantine.is_empty_handed() {
            return Some(Message { to, class, bytes: bytes.into(), since: Instant::now() });
        }
        if self.last.0 != bytes {
            let carried = carried_ids(&bytes);
            self.last = (bytes.into(), carried);
        }
        let (bytes, carried) = &self.last;
        let message = Message { to, class, bytes: bytes.clone(), since: Instant::now() };
        let in_hand = self.quarantine.in_hand(carried);
        if in_hand.is_empty() {
            return Some(message);
        }
        if self.size + bytes.len() <= MAX_WAITING {
            self.size += bytes.len();
            self.messages.push_back((message, in_hand));
        }
        None
    }

    /// Those that may go now.
    pub(crate) fn free(&mut self) -> Vec<Message> {
        let mut free = Vec::new();
        for (message, mut ids) in std::mem::take(&mut self.messages) {
            ids = self.quarantine.in_hand(&ids);
            if ids.is_empty() {
                self.size -= message.bytes.len();
                tracing::debug!(waited = ?message.since.elapsed(), "news goes on");
                free.push(message);
            } else {
                self.messages.push_back((message, ids));
            }
        }
        free
    }
}
