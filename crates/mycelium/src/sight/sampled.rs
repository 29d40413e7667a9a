//! Glances at replicas, where the kernel doesn't tell what they do: some times a second, while somebody follows.

use std::collections::{BTreeMap, BTreeSet};

use fabric::Fabric;
use membrane::Glanced;
use types::{AppName, NodeName, ReplicaName, Timestamp};

use super::{Asked, EVERY, Piece};
use crate::api::{Trace, TraceWhat};
use crate::clock::SystemClock;
use crate::presence::Presence;

type Key = (NodeName, ReplicaName);

/// The one who glances.
pub(crate) struct Glances {
    pub(super) asked: Asked,
    /// How much was told so far.
    pub(super) total: u64,
    pub(super) why: String,
    /// What was seen last.
    pub(super) known: Option<BTreeMap<Key, Vec<Glanced>>>,
}

/// A replica that runs here.
struct Here {
    key: Key,
    app: AppName,
    pid: u32,
}

impl Glances {
    /// Looks until nobody can ask any more.
    pub(crate) async fn look(mut self, fabric: Fabric, presence: Presence) {
        loop {
            while self.asked.told.receiver_count() == 0 {
                self.known = None;
                if self.asked.next().await.is_none() {
                    return;
                }
            }
            self.asked.pass_over();
            let here = here(&fabric, &presence);
            let pids: Vec<u32> = here.iter().map(|one| one.pid).collect();
            let seen = tokio::task::spawn_blocking(move || membrane::glance(&pids)).await.unwrap_or_default();
            let traces = self.compare(here, seen, SystemClock.now());
            if !traces.is_empty() {
                let before = self.total;
                self.total += traces.len() as u64;
                // Nobody may be there to hear it.
                let _ = self.asked.told.send(Piece { before, traces: traces.into() });
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    /// What is new since the last glance; at the first one nothing is.
    fn compare(&mut self, here: Vec<Here>, seen: Vec<Vec<Glanced>>, at: Timestamp) -> Vec<Trace> {
        let first = self.known.is_none();
        let mut before = self.known.take().unwrap_or_default();
        let (mut traces, mut now) = (Vec::new(), BTreeMap::new());
        for (one, seen) in here.into_iter().zip(seen) {
            let known = before.remove(&one.key);
            if !first {
                if known.is_none() {
                    traces.push(note(&one.key, &one.app, at, &self.why));
                }
                changes(&one, &known.unwrap_or_default(), &seen, at, &mut traces);
            }
            now.insert(one.key, seen);
        }
        self.known = Some(now);
        traces
    }
}

/// That a replica is only glanced at.
pub(crate) fn note((node, replica): &Key, app: &AppName, at: Timestamp, why: &str) -> Trace {
    let every_ms = u64::try_from(EVERY.as_millis()).unwrap_or(u64::MAX);
    let what = TraceWhat::Sampled { every_ms, why: why.to_owned() };
    let (node, app, replica) = (node.clone(), app.clone(), replica.clone());
    Trace { at, node, app, replica, pid: None, process: None, what }
}

/// The same for all replicas of an app that run here.
pub(crate) fn notes(fabric: &Fabric, presence: &Presence, app: &AppName, why: &str) -> Vec<Trace> {
    let at = SystemClock.now();
    let here = here(fabric, presence).into_iter().filter(|one| one.app == *app);
    here.map(|one| note(&one.key, app, at, why)).collect()
}

fn here(fabric: &Fabric, presence: &Presence) -> Vec<Here> {
    let view = fabric.view();
    let own = view.endpoints().filter(|endpoint| presence.is_own(&endpoint.node_id));
    let of = |endpoint: &genome::Endpoint| {
        let key = (endpoint.node_id.clone(), endpoint.replica.clone());
        Some(Here { key, app: endpoint.app_name.clone(), pid: endpoint.pid? })
    };
    own.filter_map(|endpoint| of(endpoint)).collect()
}

fn changes(one: &Here, before: &[Glanced], now: &[Glanced], at: Timestamp, traces: &mut Vec<Trace>) {
    let mut tell = |process: &Glanced, what: TraceWhat| {
        let ((node, replica), app) = (one.key.clone(), one.app.clone());
        let (pid, name) = (Some(process.pid), Some(process.name.clone()));
        traces.push(Trace { at, node, app, replica, pid, process: name, what });
    };
    let same = |all: &[Glanced], process: &Glanced| {
        all.iter().find(|other| (other.pid, other.started) == (process.pid, process.started)).cloned()
    };
    // A socket that several hold was opened by one: the eldest, as far as that can be told.
    let mut told: BTreeSet<_> = before.iter().flat_map(|process| &process.connections).copied().collect();
    for process in now {
        let known = same(before, process);
        if known.as_ref().is_none_or(|known| known.program != process.program) {
            let program = process.program.as_ref().map(|path| path.display().to_string());
            tell(process, TraceWhat::Exec { program });
        }
        for (socket, address) in &process.connections {
            if told.insert((*socket, *address)) {
                tell(process, TraceWhat::Connect { protocol: "tcp".to_owned(), address: *address });
            }
        }
    }
    for process in before.iter().filter(|process| same(now, process).is_none()) {
        tell(process, TraceWhat::Exit { code: None, signal: None });
    }
}

#[cfg(test)]
mod tests;
