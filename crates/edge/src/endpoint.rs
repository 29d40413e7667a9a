//! One endpoint as all workers share it: whether it drains, how many requests are open on it, whether it is set aside.
//!
//! Drain is exact. A worker first counts a request as open and then looks at the flag; who drains first sets the
//! flag and then looks at the counts. Both in sequentially consistent order: one of the two sees the other.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

use crate::reach::Reach;
use crate::table::{Protocol, Target};

/// The first pause of an endpoint that failed; doubled with each further failure.
const ASIDE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause between two probes.
const ASIDE_MAX: Duration = Duration::from_secs(5);

/// A counter alone on its cache line, so that workers don't slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Alone(pub AtomicUsize);

/// An endpoint, shared by all workers and by who waits for its drain.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub id: String,
    pub reach: Reach,
    pub protocol: Protocol,
    /// Used only while no other is usable.
    pub far: bool,
    draining: AtomicBool,
    /// Open requests, by worker.
    open: Box<[Alone]>,
    /// Told when a request ends on a draining endpoint.
    closed: Notify,
    /// Whether it failed and waits for its probe.
    aside: AtomicBool,
    failures: AtomicU32,
}

impl Endpoint {
    pub(crate) fn new(target: &Target, workers: usize) -> Self {
        Self {
            id: target.id.clone(),
            reach: target.reach.clone(),
            protocol: target.protocol,
            far: target.far,
            draining: AtomicBool::new(false),
            open: (0..workers).map(|_| Alone::default()).collect(),
            closed: Notify::new(),
            aside: AtomicBool::new(false),
            failures: AtomicU32::new(0),
        }
    }

    pub(crate) fn is(&self, target: &Target) -> bool {
        self.id == target.id
            && self.reach == target.reach
            && self.protocol == target.protocol
            && self.far == target.far
    }

    /// Counts a request as open, unless the endpoint drains.
    pub(crate) fn enter(&self, worker: usize) -> bool {
        self.open[worker].0.fetch_add(1, Ordering::SeqCst);
        if self.draining.load(Ordering::SeqCst) {
            self.leave(worker);
            return false;
        }
        true
    }

    /// Ends what [`Endpoint::enter`] began.
    pub(crate) fn leave(&self, worker: usize) {
        let before = self.open[worker].0.fetch_sub(1, Ordering::SeqCst);
        if before == 1 && self.draining.load(Ordering::SeqCst) {
            self.closed.notify_waiters();
        }
    }

    /// No request enters from here on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Requests enter again.
    pub(crate) fn resume(&self) {
        self.draining.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Requests that are open now; exact once it drains.
    pub(crate) fn open(&self) -> usize {
        self.open.iter().map(|n| n.0.load(Ordering::SeqCst)).sum()
    }

    /// Waits until no request is open; [`Endpoint::drain`] comes first.
    pub(crate) async fn emptied(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            // While it drains a count that was seen at 0 rises only for the moment in which a worker sees the flag.
            if self.open.iter().all(|n| n.0.load(Ordering::SeqCst) == 0) {
                return;
            }
            closed.await;
        }
    }

    pub(crate) fn is_aside(&self) -> bool {
        self.aside.load(Ordering::Relaxed)
    }

    /// Takes it out of the round after a failure; `true` for the one caller who is to probe it.
    pub(crate) fn set_aside(&self) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        !self.aside.swap(true, Ordering::Relaxed)
    }

    /// Puts it back after a probe; the failures still count until a response comes.
    pub(crate) fn put_back(&self) {
        self.aside.store(false, Ordering::Relaxed);
    }

    /// A response came.
    pub(crate) fn worked(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// How long to wait before the next probe.
    pub(crate) fn pause(&self) -> Duration {
        let doublings = self.failures.load(Ordering::Relaxed).saturating_sub(1).min(10);
        (ASIDE_FIRST * 2_u32.pow(doublings)).min(ASIDE_MAX)
    }

    /// A probe failed.
    pub(crate) fn probe_failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
