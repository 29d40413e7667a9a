//! From ready endpoints to the edge's table.

use std::net::SocketAddr;

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

/// Keeps the edge's table as the fabric has it.
pub(crate) async fn follow(fabric: &Fabric, edge: &Edge) {
    let mut changes = fabric.subscribe();
    loop {
        changes.changed().await;
        edge.routes().set(&table(&fabric.view()));
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
