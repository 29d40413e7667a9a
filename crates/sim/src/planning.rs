//! Planning: one decision for a whole mesh, for whoever wants to know how long it takes. What a large simulated mesh
//! leaves out, since thousands of simulated nodes would each decide the same.

use std::collections::BTreeMap;

use cortex::{Decision, Planned, World};
use genome::{Node, Plan, Pressure};
use types::{Digest, Nutrients};

use crate::{keys, records};

/// So many apps with so many replicas each.
const APPS: u32 = 50;
const REPLICAS: u32 = 8;

/// A mesh before anything runs in it: the longest decision there is.
#[derive(Debug)]
pub struct Planning {
    nodes: Vec<Node>,
    plans: Vec<Plan>,
}

impl Planning {
    /// For so many nodes.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        let node = |number| Node {
            node_id: keys::node_name(number),
            host: String::new(),
            capacity: Nutrients { cpu_milli: 8_000, memory_mb: 16_000 },
            labels: BTreeMap::new(),
            addresses: Vec::new(),
            version: String::new(),
            pressure: Pressure::None,
        };
        let plan = |app| Plan::new(records::app(app), records::release(Digest::of(b"spore")), REPLICAS);
        Self { nodes: (0..nodes).map(node).collect(), plans: (0..APPS).map(plan).collect() }
    }

    /// Decides.
    #[must_use]
    pub fn decide(&self) -> Decision {
        cortex::decide(&World {
            plans: self.plans.iter().map(|plan| Planned { generation: 1, plan }).collect(),
            nodes: self.nodes.iter().collect(),
            ..World::default()
        })
    }
}
