//! From ready endpoints to the edge's table.
//!
//! Whoever is told that a replica is ready may ask it at once: what the API says of apps is never ahead of the table.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use edge::{Edge, Protocol, Reach, Scaling, Table, Target};
use fabric::{Fabric, View};
use genome::{Endpoint, Plan, ReplicaState};
use types::{AppName, NodeName, ReplicaName, Workload};

use crate::quarantine::Handler;
use crate::tunnel::{Site, Tunnels, Ways};

/// The table that `view` stands for: every app that takes HTTP, each with its ready replicas.
pub(crate) fn table(view: &View, ways: &Ways) -> Table {
    let mut apps: BTreeMap<AppName, Vec<Way>> = BTreeMap::new();
    for (app, entry) in view.plans.iter() {
        if entry.value.release.workload == Workload::Service {
            apps.insert(app.clone(), Vec::new());
        }
    }
    // A replica whose plan was removed finishes its requests, but an app without a plan is unknown.
    let mut far = BTreeSet::new();
    for endpoint in view.endpoints().filter(|e| e.state == ReplicaState::Ready) {
        if let (Some(found), Some(targets)) = (way(endpoint, ways), apps.get_mut(&endpoint.app_name)) {
            if found.target.far {
                far.insert(found.target.id.clone());
            }
            targets.push(found);
        }
    }
    if let Some(tunnels) = ways.tunnels() {
        tunnels.keep(|id| far.contains(id));
    }
    let apps: BTreeMap<AppName, Vec<Target>> =
        apps.into_iter().map(|(app, targets)| (app, without_leaving(targets))).collect();
    let scaling = apps.iter().filter_map(|(app, targets)| {
        let plan = &view.plans.get(app)?.value;
        let budget = plan.scale.as_ref()?.budget();
        let trouble = targets.is_empty().then(|| trouble(view, plan)).flatten();
        Some((app.clone(), Scaling { budget, elastic: plan.min < plan.max, sleeps: plan.sleeps(), trouble }))
    });
    Table { scaling: scaling.collect(), apps, ..Table::default() }
}

/// Why no replica will be ready soon: one can't run, or has failed twice in a row, and nothing else will.
fn trouble(view: &View, plan: &Plan) -> Option<String> {
    let (revision, before) = (plan.release.revision(), plan.previous.as_ref());
    let falls_back = before.is_some_and(|before| before.release.revision() != revision);
    let mut troubled = None;
    for endpoint in view.endpoints_of(&plan.app_name) {
        match endpoint.state {
            // The one before runs instead, as soon as all know it.
            _ if falls_back && endpoint.revision == revision => {}
            ReplicaState::Refused | ReplicaState::Backoff => troubled = Some(endpoint),
            ReplicaState::Verifying | ReplicaState::Launching | ReplicaState::Ready => return None,
            ReplicaState::Pulling | ReplicaState::Draining | ReplicaState::Completed => {}
        }
    }
    let Endpoint { replica, node_id, state, message, .. } = &**troubled?;
    Some(format!("{replica} on {node_id} is {state}: {message}"))
}

/// A target, and whether its node said that it drains.
struct Way {
    target: Target,
    leaving: bool,
}

/// One that leaves is used until another is known: its heir may be on its way to us, and its node waits for us.
fn without_leaving(ways: Vec<Way>) -> Vec<Target> {
    let all_leave = ways.iter().all(|way| way.leaving);
    ways.into_iter().filter(|way| all_leave || !way.leaving).map(|way| way.target).collect()
}

/// The edge's table, kept as the fabric has it.
pub(crate) struct Routing {
    fabric: Fabric,
    edge: Edge,
    ways: Ways,
    /// What the table stands for.
    basis: Mutex<Option<Basis>>,
    handler: Option<Handler>,
}

/// The version of the store, and that of the ways to peers.
#[derive(PartialEq, Eq)]
struct Basis(u64, u64);

impl Routing {
    /// The table is empty until it is brought [up to date](Self::catch_up).
    pub(crate) fn new(fabric: Fabric, edge: Edge, ways: Ways) -> Self {
        Self { fabric, edge, ways, basis: Mutex::default(), handler: None }
    }

    /// Has `handler` hear how far the table is.
    pub(crate) fn with_handler(mut self, handler: Handler) -> Self {
        self.handler = Some(handler);
        self
    }

    /// Returns once the table is no older than any view that was taken before.
    pub(crate) fn catch_up(&self) {
        // Held to the end, so that no older table comes after a newer one.
        let mut basis = self.basis.lock().unwrap_or_else(PoisonError::into_inner);
        let ways = self.ways.tunnels().map_or(0, |tunnels| *tunnels.changes().borrow());
        let view = self.fabric.view();
        let newest = Some(Basis(view.version, ways));
        if *basis != newest {
            let set = || self.edge.routes().set(&table(&view, &self.ways));
            self.handler.as_ref().map_or_else(set, |handler| handler.work(set));
            *basis = newest;
        }
        if let Some(handler) = &self.handler {
            handler.caught_up(view.version);
        }
    }

    /// Follows every change.
    pub(crate) async fn follow(&self) {
        let mut changes = self.fabric.subscribe();
        let mut ways = self.ways.tunnels().map(Tunnels::changes);
        loop {
            let stirred = async {
                match &mut ways {
                    // The sender lives as long as the tunnels, which are here.
                    Some(ways) => drop(ways.changed().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = changes.changed() => {}
                () = stirred => {}
            }
            self.catch_up();
        }
    }
}

/// The name of a replica in the edge's table.
pub(crate) fn id(endpoint_app: &AppName, node: &NodeName, replica: &ReplicaName) -> String {
    format!("{endpoint_app}/{node}/{replica}")
}

/// The names in the [name](id) of a replica.
pub(crate) fn parts(id: &str) -> Option<(AppName, NodeName, ReplicaName)> {
    let mut names = id.splitn(3, '/');
    let app = AppName::new(names.next()?).ok()?;
    Some((app, NodeName::new(names.next()?).ok()?, ReplicaName::new(names.next()?).ok()?))
}

/// Where the replica `id` listens, if it is of a node in this process and takes connections: ready, or draining.
pub(crate) fn local(view: &View, is_here: impl Fn(&NodeName) -> bool, id: &str) -> Option<SocketAddr> {
    let (app, node, replica) = parts(id)?;
    let named = view.endpoint(&app, &node, &replica).filter(|_| is_here(&node))?;
    let takes = matches!(named.state, ReplicaState::Ready | ReplicaState::Draining);
    if takes { address(named) } else { None }
}

/// `None` for a replica that doesn't take HTTP, or can't be reached.
fn way(endpoint: &Endpoint, ways: &Ways) -> Option<Way> {
    let speaks = |what: &str| endpoint.provides.iter().any(|p| p == what);
    let protocol = match (speaks("http"), speaks("h2c")) {
        (true, _) => Protocol::Http1,
        (false, true) => Protocol::H2c,
        (false, false) => return None,
    };
    let id = id(&endpoint.app_name, &endpoint.node_id, &endpoint.replica);
    match ways.site(&endpoint.node_id) {
        Site::Here => {
            let reach = address(endpoint)?.into();
            Some(Way { target: Target { id, reach, protocol, far: false }, leaving: false })
        }
        Site::There(node) => {
            let route = ways.tunnels()?.reach(node, &id, endpoint.since);
            let leaving = route.is_leaving();
            Some(Way { target: Target { id, reach: Reach::Tunnel(route), protocol, far: true }, leaving })
        }
        Site::Nowhere => None,
    }
}

fn address(endpoint: &Endpoint) -> Option<SocketAddr> {
    endpoint.url.strip_prefix("http://")?.trim_end_matches('/').parse().ok()
}

#[cfg(test)]
mod tests;
