//! What the unit tests of this crate share: a world that owns its parts, and one that acts on decisions.

use std::collections::BTreeMap;

use genome::{
    Budget, Demand, Endpoint, Failure, Learned, Node, Observed, Plan, Pressure, Release, ReplicaState,
};
use types::{AppName, Digest, NodeName, Nutrients, Timestamp, Workload};

use crate::{AppDecision, Decision, Planned, World, decide};

#[derive(Debug, Clone, Default)]
pub(crate) struct Mesh {
    pub(crate) plans: Vec<(u64, Plan)>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) drained: std::collections::BTreeSet<NodeName>,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) observed: Vec<Observed>,
    pub(crate) demand: Vec<Demand>,
    pub(crate) learned: Vec<Learned>,
}

impl Mesh {
    /// `nodes` nodes called `node-1` and so on, with room for ten replicas each.
    pub(crate) fn of(nodes: usize) -> Self {
        Self { nodes: (1..=nodes).map(|n| node(&format!("node-{n}"))).collect(), ..Self::default() }
    }

    pub(crate) fn with(mut self, plan: Plan) -> Self {
        self.plans.push((1, plan));
        self
    }

    pub(crate) fn world(&self) -> World<'_> {
        World {
            plans: self
                .plans
                .iter()
                .map(|(generation, plan)| Planned { generation: *generation, plan })
                .collect(),
            budgets: self.budgets.iter().collect(),
            nodes: self.nodes.iter().collect(),
            drained: self.drained.iter().collect(),
            endpoints: self.endpoints.iter().collect(),
            observed: self.observed.iter().collect(),
            demand: self.demand.iter().collect(),
            learned: self.learned.iter().collect(),
        }
    }

    pub(crate) fn decide(&self) -> Decision {
        decide(&self.world())
    }

    /// Decides, and has every replica ready where it was put, and nowhere else: so nothing stays elsewhere.
    pub(crate) fn settle(&mut self) -> Decision {
        let mut decision = self.decide();
        self.endpoints = decision.apps.iter().flat_map(|(app, decided)| ready(app, decided)).collect();
        decision.apps.values_mut().for_each(|decided| decided.stays.clear());
        decision
    }
}

fn ready(app: &AppName, decided: &AppDecision) -> Vec<Endpoint> {
    let one = |(slot, on): (&u32, &NodeName)| {
        let mut endpoint = endpoint(app.as_str(), on.as_str(), *slot);
        endpoint.revision = decided.revision.clone();
        if decided.release.workload == Workload::Job {
            endpoint.state = ReplicaState::Completed;
        }
        endpoint
    };
    decided.slots.iter().map(one).collect()
}

pub(crate) fn app(name: &str) -> AppName {
    AppName::new(name).unwrap()
}

pub(crate) fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub(crate) fn node(name: &str) -> Node {
    Node {
        node_id: node_name(name),
        host: name.to_owned(),
        capacity: Nutrients { cpu_milli: 1000, memory_mb: 1000 },
        labels: BTreeMap::new(),
        addresses: Vec::new(),
        version: String::new(),
        pressure: Pressure::None,
    }
}

pub(crate) fn release(version: &str) -> Release {
    Release {
        digest: Digest::of(version.as_bytes()),
        version: version.to_owned(),
        workload: Workload::Service,
        nutrients: Nutrients { cpu_milli: 100, memory_mb: 100 },
        port: 0,
        env: BTreeMap::new(),
        restart: 0,
        profile: None,
        reach: Vec::new(),
        settings: Default::default(),
    }
}

pub(crate) fn plan(name: &str, replicas: u32) -> Plan {
    Plan::new(app(name), release("v1"), replicas)
}

pub(crate) fn endpoint(name: &str, on: &str, slot: u32) -> Endpoint {
    Endpoint {
        app_name: app(name),
        url: String::new(),
        node_id: node_name(on),
        replica: format!("{name}-{slot}").parse().unwrap(),
        slot,
        digest: release("v1").digest,
        version: "v1".to_owned(),
        revision: release("v1").revision(),
        state: ReplicaState::Ready,
        warm: false,
        provides: Vec::new(),
        restarts: 0,
        pid: None,
        exit: None,
        message: String::new(),
        since: Timestamp::from_secs(1),
    }
}

pub(crate) fn failed(name: &str, on: &str, release: &Release, reason: &str) -> Observed {
    let failure =
        Failure { revision: release.revision(), reason: reason.to_owned(), at: Timestamp::from_secs(1) };
    Observed { node_id: node_name(on), app_name: app(name), failed: Some(failure) }
}

/// What the edge of a node asks for of an app that runs v1.
pub(crate) fn demand(name: &str, on: &str, need_milli: u64) -> Demand {
    Demand {
        node_id: node_name(on),
        app_name: app(name),
        revision: release("v1").revision(),
        need_milli,
        metric_milli: None,
        rate_milli: need_milli * 10,
        pace_milli: 10_000,
        in_flight: 0,
        p99_ms: 0,
        slow_permille: 0,
    }
}

/// How many replicas of the app each live node has.
pub(crate) fn loads(mesh: &Mesh, decision: &Decision, name: &str) -> Vec<usize> {
    let slots = &decision.apps[&app(name)].slots;
    mesh.nodes.iter().map(|node| slots.values().filter(|on| **on == node.node_id).count()).collect()
}

/// How many slots are filled by another node in `after` than in `before`.
pub(crate) fn moves(before: &Decision, after: &Decision) -> usize {
    let moved = |(app, decided): (&AppName, &AppDecision)| {
        let later = &after.apps[app].slots;
        decided.slots.iter().filter(|(slot, on)| later.get(slot).is_some_and(|now| now != *on)).count()
    };
    before.apps.iter().map(moved).sum()
}
