//! The decision that follows from the fabric as it stands, derived once for all agents of a machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use cortex::{Decision, Planned, World};
use fabric::{Fabric, View};
use types::NodeName;

use crate::core::PlanNote;

/// Whether a node is known to live.
pub type Alive = dyn Fn(&NodeName) -> bool + Send + Sync;

/// What a test has done with each view before it is decided on.
type BeforeDeciding = dyn Fn(&View) + Send + Sync;

/// What should run, of all nodes. Share one between the agents of a machine: it decides once for all.
pub struct Planner {
    fabric: Fabric,
    alive: Box<Alive>,
    before: Option<Box<BeforeDeciding>>,
    last: Mutex<Option<Decided>>,
}

/// A decision, and what it was derived from.
#[derive(Debug, Clone)]
pub struct Decided {
    /// What was known.
    pub view: Arc<View>,
    /// What follows from it.
    pub decision: Arc<Decision>,
}

impl Planner {
    /// A planner over `fabric`. What nodes have that aren't `alive` is placed anew at once; when an answer to that
    /// changes, [`Planner::forget`] is to be called.
    pub fn new(fabric: Fabric, alive: impl Fn(&NodeName) -> bool + Send + Sync + 'static) -> Self {
        Self { fabric, alive: Box::new(alive), before: None, last: Mutex::default() }
    }

    /// Has `act` see each view before it is decided on: for tests of what survives a planner that falls over.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rehearsal(mut self, act: impl Fn(&View) + Send + Sync + 'static) -> Self {
        self.before = Some(Box::new(act));
        self
    }

    /// What should run as things stand.
    #[must_use]
    pub fn decided(&self) -> Decided {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.fabric.view();
        if let Some(decided) = last.as_ref().filter(|decided| decided.view.version == view.version) {
            return decided.clone();
        }
        if let Some(before) = &self.before {
            before(&view);
        }
        let decision = Arc::new(cortex::decide(&self.world(&view)));
        let decided = Decided { view, decision };
        *last = Some(decided.clone());
        decided
    }

    /// Why each node runs or doesn't run a replica of `app`, for people.
    #[must_use]
    pub fn verdicts(&self, app: &types::AppName) -> BTreeMap<NodeName, String> {
        let decided = self.decided();
        let mut verdicts = cortex::verdicts(&self.world(&decided.view), &decided.decision, app);
        if decided.view.plans.contains_key(app) {
            for node in decided.view.nodes.keys().filter(|node| !(self.alive)(node)) {
                verdicts.insert(node.clone(), "it is not alive: what it ran is placed elsewhere".to_owned());
            }
        }
        verdicts
    }

    /// Derives anew at the next question: which nodes live has changed.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn world<'a>(&self, view: &'a View) -> World<'a> {
        let plans = view.plans.values();
        World {
            plans: plans.map(|entry| Planned { generation: entry.generation, plan: &entry.value }).collect(),
            budgets: view.budgets.values().map(|entry| &*entry.value).collect(),
            nodes: view
                .nodes
                .values()
                .map(|node| &**node)
                .filter(|node| (self.alive)(&node.node_id))
                .collect(),
            drained: view.drains.keys().collect(),
            endpoints: view.endpoints().map(|endpoint| &**endpoint).collect(),
            observed: view.observed.values().map(|observed| &**observed).collect(),
            demand: view.demand.values().map(|demand| &**demand).collect(),
            learned: view.learned.values().map(|learned| &**learned).collect(),
        }
    }
}

impl Decided {
    /// What is said of each plan.
    pub(crate) fn plan_notes(&self) -> BTreeMap<types::AppName, PlanNote> {
        let note = |(app, entry): (&types::AppName, &fabric::Entry<genome::Plan>)| {
            let plan = &entry.value;
            let release = &plan.release;
            let version =
                if release.version.is_empty() { release.digest.short() } else { release.version.clone() };
            let count = if plan.min == plan.max {
                plan.min.to_string()
            } else {
                format!("{} to {}", plan.min, plan.max)
            };
            let fallback = self.decision.apps.get(app).and_then(|decision| decision.fallback.clone());
            let summary = format!("plan {}: {count} of {app} {version}", entry.generation);
            let before = self.decision.apps.get(app).and_then(|decision| decision.before.as_ref());
            let waiting = before.map(|(_, revision)| revision.clone());
            (app.clone(), PlanNote { generation: entry.generation, summary, waiting, fallback })
        };
        self.view.plans.iter().map(note).collect()
    }
}

impl std::fmt::Debug for Planner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("fabric", &self.fabric).finish_non_exhaustive()
    }
}
