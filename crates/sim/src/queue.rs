//! Queue: what happens when; of two at one time, what was planned first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

pub(crate) struct Queue<T> {
    heap: BinaryHeap<Entry<T>>,
    count: u64,
}

struct Entry<T> {
    at: Duration,
    count: u64,
    what: T,
}

impl<T> Queue<T> {
    pub(crate) const fn new() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }

    pub(crate) fn add(&mut self, at: Duration, what: T) {
        self.count += 1;
        self.heap.push(Entry { at, count: self.count, what });
    }

    /// The next, if it is not after `until`.
    pub(crate) fn pop(&mut self, until: Duration) -> Option<(Duration, T)> {
        if self.heap.peek()?.at > until {
            return None;
        }
        self.heap.pop().map(|entry| (entry.at, entry.what))
    }
}

impl<T> Entry<T> {
    const fn rank(&self) -> (Duration, u64) {
        (self.at, self.count)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The heap gives the greatest first.
impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.rank().cmp(&self.rank())
    }
}
