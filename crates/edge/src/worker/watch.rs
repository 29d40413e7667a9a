//! Deadlines without timers: a connection notes what it waits for, a tick of its worker looks at all of them.
//!
//! The data path only writes a few cells; no timer is registered or cancelled for a request.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::config::Limits;

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first byte of the next request. Stopping ends it early.
    Idle,
    /// The rest of a head, or a handshake.
    Head,
    /// The client's end after the last response. Stopping ends it early.
    Linger,
    /// Bytes that the client has to send or take: it has a rate to keep.
    Client,
    /// The workload's response or the rest of it.
    Upstream,
    /// Either side of a tunnel.
    Tunnel,
}

/// The notes of one connection.
#[derive(Debug)]
pub(crate) struct Watch {
    phase: Cell<Phase>,
    /// Milliseconds on the worker's clock. Not for [`Phase::Client`].
    deadline: Cell<u64>,
    /// Bytes the client sent or took since the last tick.
    moved: Cell<u64>,
    /// Whether the workload said something since the last tick.
    heard: Cell<bool>,
    /// Milliseconds the workload may be silent.
    patience: Cell<u64>,
    /// Milliseconds the client may still waste.
    credit: Cell<u64>,
    expired: Cell<bool>,
    waker: OnceCell<Waker>,
}

impl Watch {
    /// Notes a phase that ends at `deadline`.
    pub(crate) fn until(&self, phase: Phase, deadline: u64) {
        self.phase.set(phase);
        self.deadline.set(deadline);
    }

    /// Notes whose turn it is, within a request or a tunnel.
    pub(crate) fn turn(&self, phase: Phase) {
        self.phase.set(phase);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Notes bytes that the client sent or took.
    pub(crate) fn moved(&self, bytes: usize) {
        self.moved.set(self.moved.get() + bytes as u64);
    }

    /// Notes that the workload, or either side of a tunnel, said something.
    pub(crate) fn heard(&self) {
        self.heard.set(true);
    }

    /// Sets how long the workload may be silent, from now on.
    pub(crate) fn patience(&self, millis: u64) {
        self.patience.set(millis);
        self.heard.set(true);
    }

    /// Whether time is up. The first call tells the watch whom to wake.
    pub(crate) fn expired(&self, cx: &Context<'_>) -> bool {
        self.waker.get_or_init(|| cx.waker().clone());
        self.expired.get()
    }

    /// Gives the client a fresh start: a new request, or the time to read an error.
    pub(crate) fn renew(&self, credit: Duration) {
        self.credit.set(millis(credit));
        self.expired.set(false);
    }

    /// Ends the wait, whatever it is for.
    pub(crate) fn expire(&self) {
        self.expired.set(true);
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    fn tick(&self, now: u64, passed: u64, limits: &Limits) {
        let moved = self.moved.replace(0);
        let late = match self.phase.get() {
            Phase::Head | Phase::Linger => now >= self.deadline.get(),
            Phase::Idle => {
                if self.heard.replace(false) {
                    self.deadline.set(now + millis(limits.idle));
                }
                now >= self.deadline.get()
            }
            Phase::Client => {
                let earned = moved.saturating_mul(1000) / u64::from(limits.min_rate.max(1));
                let credit = self.credit.get().saturating_add(earned).min(millis(limits.rate_grace));
                self.credit.set(credit.saturating_sub(passed));
                self.deadline.set(now + self.patience.get());
                credit <= passed
            }
            Phase::Upstream | Phase::Tunnel => {
                if self.heard.replace(false) {
                    self.deadline.set(now + self.patience.get());
                }
                now >= self.deadline.get()
            }
        };
        if late && !self.expired.get() {
            self.expire();
        }
    }
}

/// All connections of a worker.
#[derive(Debug, Default)]
pub(crate) struct Watches {
    all: RefCell<Vec<Rc<Watch>>>,
}

impl Watches {
    /// Starts watching a connection, until the returned watch is dropped.
    pub(crate) fn add(&self, phase: Phase, deadline: u64, limits: &Limits) -> Rc<Watch> {
        let watch = Rc::new(Watch {
            phase: Cell::new(phase),
            deadline: Cell::new(deadline),
            moved: Cell::new(0),
            heard: Cell::new(false),
            patience: Cell::new(u64::MAX / 2),
            credit: Cell::new(millis(limits.rate_grace)),
            expired: Cell::new(false),
            waker: OnceCell::new(),
        });
        self.all.borrow_mut().push(watch.clone());
        watch
    }

    /// Looks at all; `passed` is the time since the last tick. Says whether any is left.
    pub(crate) fn tick(&self, now: u64, passed: u64, limits: &Limits) -> bool {
        let mut all = self.all.borrow_mut();
        all.retain(|watch| Rc::strong_count(watch) > 1);
        for watch in all.iter() {
            watch.tick(now, passed, limits);
        }
        !all.is_empty()
    }

    /// Wakes those that `which` names.
    pub(crate) fn expire(&self, which: impl Fn(Phase) -> bool) {
        for watch in self.all.borrow().iter() {
            if which(watch.phase.get()) {
                watch.expire();
            }
        }
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
