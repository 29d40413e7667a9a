//! World: everything a decision may depend on, borrowed from a snapshot of the fabric.

use std::collections::BTreeSet;

use genome::{Budget, Demand, Endpoint, Learned, Node, Observed, Plan};
use types::NodeName;

/// What is known at one moment. The order within the lists doesn't matter. Names are unique, as they are in a
/// fabric: of two plans of one app the higher generation counts, nodes and budgets must not come twice.
#[derive(Debug, Clone, Default)]
pub struct World<'a> {
    /// What should run.
    pub plans: Vec<Planned<'a>>,
    /// What apps may hold at most, all replicas together.
    pub budgets: Vec<&'a Budget>,
    /// The nodes that are alive. What runs on any other is placed anew at once.
    pub nodes: Vec<&'a Node>,
    /// Of the living, those that get no new work: what they run moves away, as far as there is room elsewhere,
    /// and goes on until what takes its place is ready. Jobs end where they are.
    pub drained: BTreeSet<&'a NodeName>,
    /// The replicas there are, those on nodes that are gone included.
    pub endpoints: Vec<&'a Endpoint>,
    /// What nodes saw of apps.
    pub observed: Vec<&'a Observed>,
    /// How much nodes ask for of apps, those that are gone included.
    pub demand: Vec<&'a Demand>,
    /// What nodes have learned of apps, those that are gone included.
    pub learned: Vec<&'a Learned>,
}

/// A plan and its generation.
#[derive(Debug, Clone, Copy)]
pub struct Planned<'a> {
    /// The generation of its record.
    pub generation: u64,
    /// The plan.
    pub plan: &'a Plan,
}
