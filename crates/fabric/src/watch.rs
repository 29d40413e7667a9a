//! A version that many wait on, by thread or by future, without a runtime.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// The latest version, and who waits for a later one.
#[derive(Default)]
pub(crate) struct Watch {
    state: Mutex<State>,
    raised: Condvar,
}

#[derive(Default)]
struct State {
    version: u64,
    next_id: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Watch {
    /// An id for one who will wait.
    pub(crate) fn enter(&self) -> u64 {
        let mut state = self.lock();
        state.next_id += 1;
        state.next_id
    }

    /// Forgets one who won't wait any more.
    pub(crate) fn leave(&self, id: u64) {
        let waker = self.lock().wakers.remove(&id);
        drop(waker);
    }

    /// Wakes all who wait for a version above an earlier one.
    pub(crate) fn raise(&self, version: u64) {
        let mut state = self.lock();
        if version <= state.version {
            return;
        }
        state.version = version;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        self.raised.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }

    /// The version, once it is above `seen`.
    pub(crate) fn poll(&self, id: u64, seen: u64, cx: &Context<'_>) -> Poll<u64> {
        let mut state = self.lock();
        if state.version > seen {
            return Poll::Ready(state.version);
        }
        state.wakers.entry(id).or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
        Poll::Pending
    }

    /// The version, once it is above `seen`; nothing when `timeout` passes first.
    pub(crate) fn wait(&self, seen: u64, timeout: Duration) -> Option<u64> {
        let (state, _) = self
            .raised
            .wait_timeout_while(self.lock(), timeout, |state| state.version <= seen)
            .unwrap_or_else(PoisonError::into_inner);
        (state.version > seen).then_some(state.version)
    }

    /// How many futures wait.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().wakers.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
