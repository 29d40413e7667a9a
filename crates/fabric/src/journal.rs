//! Journal: where records survive a restart. The shape of the disk is implemented above; the rules are here.
//!
//! To a journal everything is pairs of bytes. [`Log`] stands between it and the store: writes queue up in the
//! order in which the store made them (under its lock, but without touching the disk), and whoever needs them
//! on disk becomes the one that writes the whole queue, while the others wait for that same sync. So the
//! price of an fsync is shared by all who come meanwhile, with no thread of its own.

use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::Refused;

/// Without a need for durability, so many writes pile up before they are written all the same.
const MAX_PENDING: usize = 1024;

/// One change of what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// Stores `value` under `key`, over what was there.
    Put {
        /// Up to about 1 KiB.
        key: Vec<u8>,
        /// Up to [`crate::MAX_RECORD`].
        value: Vec<u8>,
    },
    /// Removes what is under `key`; nothing there is no error.
    Delete {
        /// Up to about 1 KiB.
        key: Vec<u8>,
    },
}

/// A place that keeps pairs of bytes.
pub trait Journal: Send {
    /// Applies `batch` in order, as a whole or not at all. With `durable`, it is synced to disk before this
    /// returns, together with every batch before it; without, a crash may lose it, but never only part of it.
    /// A batch that failed is handed in again, at the head of the next one.
    fn write(&mut self, batch: &[Write], durable: bool) -> io::Result<()>;
}

/// The queue in front of a journal. A ticket is the count of all writes up to and including one's own.
pub(crate) struct Log {
    queue: Mutex<Queue>,
    written: Condvar,
    /// `None` where nothing is to survive: then nothing is queued either.
    journal: Option<Mutex<Box<dyn Journal>>>,
}

#[derive(Default)]
struct Queue {
    pending: Vec<Write>,
    /// Count of all writes ever queued.
    queued: u64,
    /// Of these, so many are synced.
    synced: u64,
    writing: bool,
}

impl Log {
    pub(crate) fn new(journal: Option<Box<dyn Journal>>) -> Self {
        Self { queue: Mutex::default(), written: Condvar::new(), journal: journal.map(Mutex::new) }
    }

    /// Queues writes; never blocks on the disk. Called under the store's lock, which gives the order.
    pub(crate) fn append(&self, writes: impl IntoIterator<Item = Write>) -> u64 {
        if self.journal.is_none() {
            return 0;
        }
        let mut queue = lock(&self.queue);
        let before = queue.pending.len();
        queue.pending.extend(writes);
        queue.queued += (queue.pending.len() - before) as u64;
        queue.queued
    }

    /// Returns once every write up to `ticket` is synced.
    pub(crate) fn sync(&self, ticket: u64) -> Result<(), Refused> {
        let mut queue = lock(&self.queue);
        while queue.synced < ticket {
            if queue.writing {
                queue = self.written.wait(queue).unwrap_or_else(PoisonError::into_inner);
            } else {
                queue = self.write_all(queue, true)?;
            }
        }
        Ok(())
    }

    /// Whether every write is synced.
    pub(crate) fn is_synced(&self) -> bool {
        let queue = lock(&self.queue);
        queue.synced >= queue.queued
    }

    /// Hands what piled up to the journal, without a sync; a failure is met again by the next one who syncs.
    pub(crate) fn relieve(&self) {
        let queue = lock(&self.queue);
        if queue.pending.len() >= MAX_PENDING && !queue.writing {
            drop(self.write_all(queue, false));
        }
    }

    /// Drops the journal; every later write is an error.
    pub(crate) fn close(&self) {
        if let Some(journal) = &self.journal {
            *lock(journal) = Box::new(Closed);
        }
    }

    fn write_all<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        durable: bool,
    ) -> Result<MutexGuard<'a, Queue>, Refused> {
        let batch = std::mem::take(&mut queue.pending);
        let upto = queue.queued;
        queue.writing = true;
        drop(queue);
        let result = match &self.journal {
            Some(journal) => lock(journal).write(&batch, durable),
            None => Ok(()),
        };
        let mut queue = lock(&self.queue);
        queue.writing = false;
        if let Err(error) = result {
            let later = std::mem::replace(&mut queue.pending, batch);
            queue.pending.extend(later);
            self.written.notify_all();
            return Err(Refused::NotDurable(error.to_string()));
        }
        if durable {
            queue.synced = upto;
        }
        self.written.notify_all();
        Ok(queue)
    }
}

/// The journal of a store that was closed.
struct Closed;

impl Journal for Closed {
    fn write(&mut self, _: &[Write], _: bool) -> io::Result<()> {
        Err(io::Error::other("the store was closed"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
