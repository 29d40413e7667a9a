//! The tunnels that peers have open to replicas here: how many, and which replicas drain.
//!
//! A drain is exact. A tunnel is counted before its replica is connected to, and a drain is over in the same moment in
//! which the count is seen at 0 and no more are taken: both under one lock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use types::PublicKey;

use super::Limits;
use super::wire::Answer;

/// All tunnels to replicas of this process.
#[derive(Default)]
pub(super) struct Places {
    state: Mutex<State>,
    /// Told when the last tunnel to a replica closes, and when the last of all does.
    closed: Notify,
}

#[derive(Default)]
struct State {
    all: usize,
    of_peer: BTreeMap<PublicKey, usize>,
    /// By replica, then by peer.
    to_replica: BTreeMap<String, BTreeMap<PublicKey, usize>>,
    drains: BTreeMap<String, Drain>,
}

/// A replica that drains, or has drained.
#[derive(Default)]
struct Drain {
    /// Which one: a replica that serves again may drain again.
    number: u64,
    /// Peers that were told.
    told: BTreeSet<PublicKey>,
    /// No tunnel is open, and none is taken.
    over: bool,
}

/// A tunnel that is counted, until this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    peer: PublicKey,
    /// The replica, once it is known.
    id: Option<String>,
}

impl Places {
    /// Counts one more tunnel of `peer`; `None` if it has too many, or all together have.
    pub(super) fn enter(self: &Arc<Self>, peer: PublicKey, limits: &Limits) -> Option<Place> {
        let mut state = self.lock();
        let of_peer = state.of_peer.get(&peer).copied().unwrap_or_default();
        if of_peer >= limits.of_peer || state.all >= limits.all {
            return None;
        }
        state.all += 1;
        state.of_peer.insert(peer, of_peer + 1);
        Some(Place { places: Arc::clone(self), peer, id: None })
    }

    /// Begins a drain; says which peers have tunnels to the replica, and the drain's number.
    pub(super) fn drain(&self, id: &str) -> (Vec<PublicKey>, u64) {
        let mut state = self.lock();
        let peers: Vec<_> = state.to_replica.get(id).into_iter().flat_map(BTreeMap::keys).copied().collect();
        let drain = state.drains.entry(id.to_owned()).or_default();
        drain.number += 1;
        drain.over = false;
        drain.told.extend(&peers);
        (peers, drain.number)
    }

    /// Takes a drain back; says which peers were told of it.
    pub(super) fn resume(&self, id: &str) -> BTreeSet<PublicKey> {
        let drain = self.lock().drains.remove(id);
        self.closed.notify_waiters();
        drain.map(|drain| drain.told).unwrap_or_default()
    }

    /// Waits until no tunnel is open to a draining replica, and takes none from that moment on. One whose drain was
    /// taken back, or begun anew, is not waited for.
    pub(super) async fn emptied(&self, id: &str, number: u64) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.is_over(id, number) {
                return;
            }
            closed.await;
        }
    }

    /// Waits until no tunnel is open; others may be opened after.
    pub(super) async fn idle(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.open() == 0 {
                return;
            }
            closed.await;
        }
    }

    /// How many tunnels are open.
    pub(super) fn open(&self) -> usize {
        self.lock().all
    }

    fn is_over(&self, id: &str, number: u64) -> bool {
        let mut state = self.lock();
        let open = state.to_replica.contains_key(id);
        let Some(drain) = state.drains.get_mut(id).filter(|drain| drain.number == number) else {
            return true;
        };
        drain.over |= !open;
        drain.over
    }

    /// Forgets drains of replicas that are gone.
    pub(super) fn forget(&self, is_here: impl Fn(&str) -> bool) {
        let mut state = self.lock();
        let State { drains, to_replica, .. } = &mut *state;
        drains.retain(|id, _| to_replica.contains_key(id) || is_here(id));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Counts it as one to the replica `id`; says what to tell the peer once it is connected, or why it can't be.
    pub(super) fn to(&mut self, id: &str) -> Result<Answer, Answer> {
        let mut state = self.places.lock();
        let answer = match state.drains.get_mut(id) {
            Some(drain) if drain.over => return Err(Answer::Drained),
            Some(drain) => {
                drain.told.insert(self.peer);
                Answer::Leaving
            }
            None => Answer::Open,
        };
        *state.to_replica.entry(id.to_owned()).or_default().entry(self.peer).or_default() += 1;
        self.id = Some(id.to_owned());
        Ok(answer)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.lock();
        state.all -= 1;
        less(&mut state.of_peer, &self.peer);
        let mut last = state.all == 0;
        if let Some(id) = &self.id
            && let Some(peers) = state.to_replica.get_mut(id)
        {
            less(peers, &self.peer);
            if peers.is_empty() {
                state.to_replica.remove(id);
                last = true;
            }
        }
        drop(state);
        if last {
            self.places.closed.notify_waiters();
        }
    }
}

/// One less of a peer's.
fn less(counts: &mut BTreeMap<PublicKey, usize>, peer: &PublicKey) {
    if let Some(count) = counts.get_mut(peer) {
        *count -= 1;
        if *count == 0 {
            counts.remove(peer);
        }
    }
}
