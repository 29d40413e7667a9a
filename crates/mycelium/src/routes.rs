//! From ready endpoints to the edge's table.
//!
//! Whoever is told that a replica is ready may ask it at once: what the API says of apps is never ahead of the table.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use edge::{Edge, Protocol, Table, Target};
use fabric::{Fabric, View};
use genome::{Endpoint, ReplicaState};
use types::{NodeName, ReplicaName, Workload};

/// The table that `view` stands for: every app that takes HTTP, each with its ready replicas.
pub(crate) fn table(view: &View) -> Table {
    let mut table = Table::default();
    for (app, entry) in view.plans.iter() {
        if entry.value.release.workload == Workload::Service {
            table.apps.insert(app.clone(), Vec::new());
        }
    }
    // A replica whose plan was removed finishes its requests, but an app without a plan is unknown.
    for endpoint in view.endpoints().filter(|e| e.state == ReplicaState::Ready) {
        if let (Some(target), Some(targets)) = (target(endpoint), table.apps.get_mut(&endpoint.app_name)) {
            targets.push(target);
        }
    }
    table
}

/// The edge's table, kept as the fabric has it.
pub(crate) struct Routing {
    fabric: Fabric,
    edge: Edge,
    /// The version of the store that the table stands for.
    version: Mutex<Option<u64>>,
}

impl Routing {
    /// The table is empty until it is brought [up to date](Self::catch_up).
    pub(crate) fn new(fabric: Fabric, edge: Edge) -> Self {
        Self { fabric, edge, version: Mutex::default() }
    }

    /// Returns once the table is no older than any view that was taken before.
    pub(crate) fn catch_up(&self) {
        // Held to the end, so that no older table comes after a newer one.
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.fabric.view();
        if *version != Some(view.version) {
            self.edge.routes().set(&table(&view));
            *version = Some(view.version);
        }
    }

    /// Follows every change.
    pub(crate) async fn follow(&self) {
        let mut changes = self.fabric.subscribe();
        loop {
            changes.changed().await;
            self.catch_up();
        }
    }
}

/// The name of a replica in the edge's table.
pub(crate) fn id(endpoint_app: &types::AppName, node: &NodeName, replica: &ReplicaName) -> String {
    format!("{endpoint_app}/{node}/{replica}")
}

/// `None` for a replica that doesn't take HTTP.
fn target(endpoint: &Endpoint) -> Option<Target> {
    let speaks = |what: &str| endpoint.provides.iter().any(|p| p == what);
    let protocol = match (speaks("http"), speaks("h2c")) {
        (true, _) => Protocol::Http1,
        (false, true) => Protocol::H2c,
        (false, false) => return None,
    };
    let addr: SocketAddr = endpoint.url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()?;
    let id = id(&endpoint.app_name, &endpoint.node_id, &endpoint.replica);
    Some(Target { id, reach: addr.into(), protocol })
}

#[cfg(test)]
mod tests;
