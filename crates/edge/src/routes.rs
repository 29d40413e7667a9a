//! Routes: the table as the workers see it, its swap, and the exact drain of endpoints.
//!
//! A swap publishes the new table first and flags the endpoints that left after: a worker that meets a flag finds
//! a newer table behind it, so that a request never falls between the two.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use types::AppName;

use crate::endpoint::{Alone, Endpoint};
use crate::http1::target::DOMAIN;
use crate::stats::{AppStats, Shard};
use crate::table::{Balance, Scaling, Table};

/// The routing table of an edge: a handle that is cheap to clone.
#[derive(Debug, Clone)]
pub struct Routes {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Rises with each change; a worker compares it at each request.
    version: AtomicU64,
    state: Mutex<State>,
    /// One a worker: told of each change, so that pooled connections close at once.
    changed: Box<[Notify]>,
    /// Requests that were for no app, by worker.
    unrouted: Box<[Alone]>,
    /// Told when a request is held.
    woken: Notify,
}

#[derive(Debug, Default)]
struct State {
    snapshot: Arc<Snapshot>,
    endpoints: HashMap<String, Arc<Endpoint>>,
    /// Those that left the table with requests open.
    leaving: Vec<Arc<Endpoint>>,
    apps: BTreeMap<AppName, Arc<App>>,
}

/// One version of the table, shared by all workers.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub version: u64,
    pub balance: Balance,
    pub apps: Vec<Route>,
}

/// An app in the table.
#[derive(Debug)]
pub(crate) struct Route {
    pub app: Arc<App>,
    pub endpoints: Vec<Arc<Endpoint>>,
    pub scaling: Option<Arc<Scaling>>,
}

/// What outlives a table: an app's place in the round and its counters.
#[derive(Debug)]
pub(crate) struct App {
    pub name: AppName,
    /// `{app}.mesh.internal`
    pub host: String,
    next: Alone,
    /// The time its requests are to take at most, in microseconds.
    budget: AtomicU64,
    shards: Box<[Shard]>,
}

impl App {
    fn new(name: AppName, workers: usize) -> Self {
        let shards = (0..workers).map(|_| Shard::default()).collect();
        let host = format!("{name}.{DOMAIN}");
        Self { name, host, next: Alone(AtomicUsize::new(0)), budget: AtomicU64::new(u64::MAX), shards }
    }

    /// The next place in the round.
    pub(crate) fn next(&self) -> usize {
        self.next.0.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn shard(&self, worker: usize) -> &Shard {
        &self.shards[worker]
    }

    /// Counts a request's end.
    pub(crate) fn end(&self, worker: usize, status: u16, took: Duration) {
        self.shards[worker].end(status, took, self.budget.load(Ordering::Relaxed));
    }

    fn set_budget(&self, budget: Option<Duration>) {
        let micros = budget.and_then(|time| u64::try_from(time.as_micros()).ok()).unwrap_or(u64::MAX);
        self.budget.store(micros, Ordering::Relaxed);
    }

    pub(crate) fn stats(&self) -> AppStats {
        AppStats::sum(&self.shards)
    }
}

impl Routes {
    pub(crate) fn new(workers: usize) -> Self {
        let inner = Inner {
            version: AtomicU64::new(0),
            state: Mutex::default(),
            changed: (0..workers).map(|_| Notify::new()).collect(),
            unrouted: (0..workers).map(|_| Alone::default()).collect(),
            woken: Notify::new(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Replaces the table. Endpoints that left get no new request from the moment this returns; the ones
    /// that stayed keep their connections.
    pub fn set(&self, table: &Table) {
        let mut state = self.lock();
        let workers = self.inner.changed.len();
        let mut before = std::mem::take(&mut state.endpoints);
        let mut apps = Vec::with_capacity(table.apps.len());
        for (name, targets) in &table.apps {
            let app =
                state.apps.entry(name.clone()).or_insert_with(|| Arc::new(App::new(name.clone(), workers)));
            let app = app.clone();
            let mut endpoints = Vec::with_capacity(targets.len());
            for target in targets {
                let kept = before.remove(&target.id).filter(|e| {
                    let same = e.is(target);
                    if !same {
                        state.leaving.push(e.clone());
                    }
                    same
                });
                let endpoint = kept.unwrap_or_else(|| Arc::new(Endpoint::new(target, workers)));
                if state.endpoints.insert(target.id.clone(), endpoint.clone()).is_none() {
                    endpoints.push(endpoint);
                }
            }
            let scaling = table.scaling.get(name).cloned().map(Arc::new);
            app.set_budget(scaling.as_ref().and_then(|scaling| scaling.budget));
            apps.push(Route { app, endpoints, scaling });
        }
        state.leaving.extend(before.into_values());
        let version = state.snapshot.version + 1;
        state.snapshot = Arc::new(Snapshot { version, balance: table.balance, apps });
        self.inner.version.store(version, Ordering::SeqCst);
        for endpoint in &state.leaving {
            endpoint.drain();
        }
        state.leaving.retain(|e| e.open() > 0);
        drop(state);
        self.tell();
    }

    /// Takes the endpoint `id` out of service and resolves when no request is open on it; the table should lose it too.
    ///
    /// Tunnels (WebSocket) count as open requests: the caller bounds how long it waits. An unknown id is drained.
    pub fn drained(&self, id: &str) -> impl Future<Output = ()> + Send + 'static {
        let state = self.lock();
        let of_id = state.endpoints.get(id).into_iter().chain(state.leaving.iter().filter(|e| e.id == id));
        let endpoints: Vec<_> = of_id.cloned().collect();
        drop(state);
        for endpoint in &endpoints {
            endpoint.drain();
        }
        self.tell();
        async move {
            for endpoint in endpoints {
                endpoint.emptied().await;
            }
        }
    }

    /// Takes back [`Routes::drained`] for an endpoint that is to serve on: a table that never lacked it wouldn't.
    pub fn resumed(&self, id: &str) {
        if let Some(endpoint) = self.lock().endpoints.get(id) {
            endpoint.resume();
        }
    }

    /// The apps of the table and how many targets each has.
    #[must_use]
    pub fn apps(&self) -> BTreeMap<AppName, usize> {
        self.snapshot().apps.iter().map(|route| (route.app.name.clone(), route.endpoints.len())).collect()
    }

    /// Resolves when a request is held since the app it is for has no target: see [`AppStats::held`].
    pub async fn woken(&self) {
        self.inner.woken.notified().await;
    }

    pub(crate) fn wake(&self) {
        self.inner.woken.notify_one();
    }

    pub(crate) fn version(&self) -> u64 {
        self.inner.version.load(Ordering::SeqCst)
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.lock().snapshot.clone()
    }

    pub(crate) async fn changed(&self, worker: usize) {
        self.inner.changed[worker].notified().await;
    }

    pub(crate) fn count_unrouted(&self, worker: usize) {
        self.inner.unrouted[worker].0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unrouted(&self) -> u64 {
        self.inner.unrouted.iter().map(|n| n.0.load(Ordering::Relaxed) as u64).sum()
    }

    pub(crate) fn app_stats(&self) -> BTreeMap<AppName, AppStats> {
        let apps: Vec<_> = self.lock().apps.values().cloned().collect();
        apps.into_iter().map(|app| (app.name.clone(), app.stats())).collect()
    }

    fn tell(&self) {
        for changed in &self.inner.changed {
            changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held, but a poisoned table still is one.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
