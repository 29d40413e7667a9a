//! What replicas use: as the agents of this process read it last, and as those of other nodes did.

mod text;

use std::sync::Arc;
use std::time::Duration;

use agent::{Sample, Samples, Standing};
use fabric::View;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::timeout;
use types::{AppName, NodeName, PublicKey};

use crate::api::{AppUsage, NodeUsage, ReplicaUsage, UsageQuery};
use crate::client::Client;
use crate::logs::peers;
use crate::network::Network;
use crate::server::ApiState;

pub(crate) use text::text;

/// How long a node is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the agents of this process have read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readings(Vec<(NodeName, watch::Receiver<Arc<Samples>>)>);

impl Readings {
    pub(crate) const fn of(agents: Vec<(NodeName, watch::Receiver<Arc<Samples>>)>) -> Self {
        Self(agents)
    }

    /// The last reading of each node.
    pub(crate) fn last(&self) -> impl Iterator<Item = (&NodeName, Arc<Samples>)> {
        self.0.iter().map(|(node, samples)| (node, samples.borrow().clone()))
    }

    /// The same as it is shown.
    pub(crate) fn shown(&self, view: &View, app: Option<&AppName>) -> Vec<NodeUsage> {
        let of = |(node, samples): (&NodeName, Arc<Samples>)| {
            let wanted = |of: &AppName| app.is_none_or(|app| app == of);
            let apps = samples.apps.iter().filter(|(app, _)| wanted(app));
            let replicas = samples.replicas.iter().filter(|sample| wanted(&sample.app));
            NodeUsage {
                node: node.clone(),
                at: samples.at,
                unknown: None,
                capacity: view.nodes.get(node).map(|node| node.capacity),
                apps: apps.map(|(app, standing)| of_app(app, *standing)).collect(),
                replicas: replicas.map(of_replica).collect(),
            }
        };
        self.last().map(of).collect()
    }
}

/// What `query` asks for, from every node.
pub(crate) async fn all(state: &ApiState, query: &UsageQuery) -> Vec<NodeUsage> {
    let mut nodes = state.readings.shown(&state.fabric.view(), query.app.as_ref());
    if let Some(network) = state.network.as_ref().filter(|_| !query.here) {
        let mut asked: FuturesUnordered<_> =
            peers(network).into_iter().map(|(name, key)| ask(network, name, key, query)).collect();
        while let Some(theirs) = asked.next().await {
            nodes.extend(theirs);
        }
        nodes.sort_by(|one, other| one.node.cmp(&other.node));
    }
    nodes
}

async fn ask(network: &Network, node: NodeName, key: PublicKey, query: &UsageQuery) -> Vec<NodeUsage> {
    let client = Client::of_peer(network.overlay.clone(), key);
    let query = UsageQuery { here: true, ..query.clone() };
    let why = match timeout(PATIENCE, client.usage(&query)).await {
        Ok(Ok(theirs)) => return theirs.into_iter().filter(|usage| usage.node == node).collect(),
        Ok(Err(error)) => format!("this node does not tell: {error}"),
        Err(_) => "this node does not answer".to_owned(),
    };
    vec![NodeUsage {
        node,
        at: None,
        unknown: Some(why),
        capacity: None,
        apps: Vec::new(),
        replicas: Vec::new(),
    }]
}

fn of_app(app: &AppName, standing: Standing) -> AppUsage {
    AppUsage {
        app: app.clone(),
        baseline_milli: standing.baseline_milli,
        used_milli: standing.used_milli,
        credits_us: standing.credits,
        cap_us: standing.cap,
        weight_milli: standing.weight_milli,
        bursts: standing.bursts,
    }
}

fn of_replica(sample: &Sample) -> ReplicaUsage {
    ReplicaUsage {
        replica: sample.launch.replica.clone(),
        app: sample.app.clone(),
        pid: sample.pid,
        ready: sample.ready,
        nutrients: sample.nutrients,
        weight_milli: sample.limits.cpu_milli.into(),
        cpu_milli: sample.cpu_milli,
        cpu_us: sample.usage.cpu_usec,
        memory: sample.usage.memory,
        memory_peak: sample.usage.memory_peak,
        memory_limit: Some(sample.limits.memory).filter(|limit| *limit > 0),
        pids: sample.usage.pids,
        io_rate: sample.io_rate,
    }
}
