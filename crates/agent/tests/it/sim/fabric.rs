//! The records of the simulated mesh, and what the planner makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cortex::{Decision, Planned};
use genome::{Budget, Endpoint, Node, Observed, Plan, Pressure};
use types::{AppName, NodeName, Nutrients, ReplicaName};

#[derive(Default)]
pub struct Fabric {
    pub plans: BTreeMap<AppName, (u64, Plan)>,
    pub generations: BTreeMap<AppName, u64>,
    pub budgets: BTreeMap<AppName, Budget>,
    pub endpoints: BTreeMap<(AppName, NodeName, ReplicaName), Endpoint>,
    pub observed: BTreeMap<(AppName, NodeName), Observed>,
    pub drained: BTreeSet<NodeName>,
    nodes: Vec<Node>,
    decided: Option<Arc<Decision>>,
}

impl Fabric {
    pub fn new(nodes: &BTreeSet<NodeName>) -> Self {
        let node = |name: &NodeName| Node {
            node_id: name.clone(),
            host: name.to_string(),
            capacity: Nutrients { cpu_milli: 100_000, memory_mb: 100_000 },
            labels: BTreeMap::new(),
            addresses: Vec::new(),
            version: String::new(),
            pressure: Pressure::None,
        };
        Self { nodes: nodes.iter().map(node).collect(), ..Self::default() }
    }

    /// To be called with every change.
    pub fn changed(&mut self) {
        self.decided = None;
    }

    pub fn decision(&mut self) -> Arc<Decision> {
        if let Some(decided) = &self.decided {
            return Arc::clone(decided);
        }
        let world = cortex::World {
            plans: self
                .plans
                .values()
                .map(|(generation, plan)| Planned { generation: *generation, plan })
                .collect(),
            budgets: self.budgets.values().collect(),
            nodes: self.nodes.iter().collect(),
            drained: self.drained.iter().collect(),
            endpoints: self.endpoints.values().collect(),
            observed: self.observed.values().collect(),
            demand: Vec::new(),
            learned: Vec::new(),
        };
        let decided = Arc::new(cortex::decide(&world));
        self.decided = Some(Arc::clone(&decided));
        decided
    }

    pub fn publish(&mut self, mut plan: Plan) {
        let app = plan.app_name.clone();
        let generation = self.generations.entry(app.clone()).or_default();
        *generation += 1;
        plan.previous = self.plans.get(&app).map(|(generation, before)| genome::Previous {
            generation: *generation,
            release: before.release.clone(),
        });
        self.plans.insert(app, (*generation, plan));
        self.changed();
    }
}
