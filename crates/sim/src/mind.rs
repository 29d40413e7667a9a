//! Mind: what a simulated node decides and how it acts on it: the production planner and the production reconciler.
//! Dies with the node's process.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use agent::{Adoption, Core, Now, PlanNote, Timing};
use cortex::{Decision, Planned};
use fabric::View;
use fabric::net::{Event, Liveness};
use types::{Digest, Namespace, NodeName, Timestamp};

/// Long waits would add nothing but steps in which nothing happens.
fn timing() -> Timing {
    let seconds = Duration::from_secs;
    Timing { stable: seconds(20), backoff_max: seconds(15), probe_every: seconds(7), ..Timing::default() }
}

pub(crate) struct Mind {
    pub(crate) name: NodeName,
    pub(crate) core: Core,
    pub(crate) liveness: Liveness,
    pub(crate) decision: Arc<Decision>,
    /// A look at the records is planned already.
    pub(crate) looking: bool,
    /// When the reconciler is woken next.
    pub(crate) tick: Option<Duration>,
    /// What the decision was derived from: the version of the view, and whether liveness has changed since.
    seen: Option<u64>,
    told: Option<agent::World>,
    /// Which of so many nodes take work, as a number; nothing when that may have changed.
    working: Option<(usize, u64)>,
}

/// Decisions that were made lately. All nodes that know the same decide the same, so that a thousand nodes needn't each
/// work it out; but where that is what is tested.
pub(crate) struct Decisions {
    kept: Option<BTreeMap<(u64, u64), Arc<Decision>>>,
}

/// So many are kept.
const MAX_KEPT: usize = 1_000;

impl Decisions {
    pub(crate) fn new(shared: bool) -> Self {
        Self { kept: shared.then(BTreeMap::new) }
    }
}

impl Mind {
    pub(crate) fn new(name: NodeName, secret: &Digest, now: Duration, wall: Timestamp) -> Self {
        let (seeds, _) = secret.as_bytes().as_chunks::<8>();
        let core = Core::new(name.clone(), timing(), u64::from_be_bytes(seeds[0]), Now { mono: now, wall });
        Self {
            liveness: Liveness::new([name.clone()].into(), true),
            name,
            core,
            decision: Arc::default(),
            looking: false,
            tick: None,
            seen: None,
            told: None,
            working: None,
        }
    }

    /// Takes note of a member's fate; whether work may have to go elsewhere.
    pub(crate) fn note(&mut self, event: &Event) -> bool {
        let changed = self.liveness.note(event).is_some();
        if changed {
            (self.seen, self.working) = (None, None);
        }
        changed
    }

    /// Those that weren't heard of by now are gone.
    pub(crate) fn settle(&mut self) {
        self.liveness.settle();
        (self.seen, self.working) = (None, None);
    }

    /// What this node finds of itself when it starts.
    pub(crate) fn found(&self, view: &View, processes: Vec<agent::Adopted>) -> Adoption {
        let own = view.endpoints().filter(|record| record.node_id == self.name);
        let seen = view.observed.values().filter(|seen| seen.node_id == self.name);
        Adoption {
            processes,
            endpoints: own.map(|record| (**record).clone()).collect(),
            observed: seen.map(|seen| (**seen).clone()).collect(),
        }
    }

    /// Decides anew where something has changed; what the reconciler is to be told.
    pub(crate) fn look(&mut self, store: &fabric::Core, decisions: &mut Decisions) -> Option<agent::World> {
        let view = &store.view(&Namespace::default());
        if self.seen == Some(view.version) {
            return None;
        }
        self.seen = Some(view.version);
        self.decision = match &mut decisions.kept {
            Some(kept) => {
                let input = self.input(store, view);
                if kept.len() >= MAX_KEPT {
                    kept.clear();
                }
                let decide = || Arc::new(cortex::decide(&self.world(view)));
                Arc::clone(kept.entry(input).or_insert_with(decide))
            }
            None => Arc::new(cortex::decide(&self.world(view))),
        };
        let note = |(app, entry): (&types::AppName, &fabric::Entry<genome::Plan>)| {
            let decided = self.decision.apps.get(app);
            let fallback = decided.and_then(|decided| decided.fallback.clone());
            let waiting = decided.and_then(|decided| Some(decided.before.as_ref()?.1.clone()));
            (
                app.clone(),
                PlanNote { generation: entry.generation, summary: String::new(), waiting, fallback },
            )
        };
        let told = agent::World {
            assignments: self.decision.of_node(&self.name),
            stays: self.decision.stays_of(&self.name),
            plans: view.plans.iter().map(note).collect(),
        };
        if self.told.as_ref() == Some(&told) {
            return None;
        }
        self.told = Some(told.clone());
        Some(told)
    }

    /// What a decision follows from, as a number: the records, and which nodes take work.
    fn input(&mut self, store: &fabric::Core, view: &View) -> (u64, u64) {
        let number = |id: Digest| id.as_bytes().first_chunk().map_or(0, |head| u64::from_be_bytes(*head));
        let records = store.ids().map(number).fold(0, u64::wrapping_add);
        let count = view.nodes.len();
        let working = match self.working {
            Some((of, working)) if of == count => working,
            _ => {
                let mut working = DefaultHasher::new();
                let nodes = view.nodes.keys().filter(|node| self.liveness.takes_work(node));
                nodes.for_each(|node| node.hash(&mut working));
                working.finish()
            }
        };
        self.working = Some((count, working));
        (records, working)
    }

    fn world<'a>(&self, view: &'a View) -> cortex::World<'a> {
        let plans = view.plans.values();
        let nodes = view.nodes.values().map(|node| &**node);
        cortex::World {
            plans: plans.map(|entry| Planned { generation: entry.generation, plan: &entry.value }).collect(),
            budgets: view.budgets.values().map(|entry| &*entry.value).collect(),
            nodes: nodes.filter(|node| self.liveness.takes_work(&node.node_id)).collect(),
            drained: view.drains.keys().collect(),
            endpoints: view.endpoints().map(|endpoint| &**endpoint).collect(),
            observed: view.observed.values().map(|observed| &**observed).collect(),
            demand: view.demand.values().map(|demand| &**demand).collect(),
            learned: view.learned.values().map(|learned| &**learned).collect(),
        }
    }
}
