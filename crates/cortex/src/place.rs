//! Placement: which node fills which slot of which app.
//!
//! First everything that is there is kept ([`sticky`](crate::sticky)), so that a newcomer never drives out what
//! runs. Then the empty slots are filled ([`fill`](crate::fill)), and where an app is much deeper in one zone or on
//! one node than in another with room, replicas move over ([`level`](crate::level)). Nothing else ever moves,
//! unless its node is drained ([`leave`](crate::leave)).

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use genome::{Budget, Endpoint, Learned, Observed, Plan, Release, Revision};
use types::{AppName, NodeName, Nutrients, Workload};

use crate::ring::{self, Ring};
use crate::room::{Ask, Room};
use crate::scale::{Said, Scaling};
use crate::size::{self, Sizing};
use crate::spread::{Settled, Spread};
use crate::stage::{self, Slots, Stage};
use crate::{Planned, World, effective};

/// The state of a decision while it is made.
pub(crate) struct Placement<'a> {
    pub(crate) room: Room<'a>,
    /// In the order of their names.
    pub(crate) apps: Vec<App<'a>>,
    /// Made when the first slot is empty: mostly nothing is to be placed.
    pub(crate) ring: Option<Ring>,
    /// What is to leave a drained node, the better claims first.
    pub(crate) leaving: Vec<Leaving>,
}

/// A replica on a drained node.
pub(crate) struct Leaving {
    pub(crate) app: usize,
    pub(crate) slot: u32,
    pub(crate) place: usize,
    pub(crate) ready: bool,
    /// Its port is kept on its host, since it may stay.
    pub(crate) port: bool,
}

/// One app while its slots are filled.
pub(crate) struct App<'a> {
    pub(crate) name: &'a AppName,
    pub(crate) generation: u64,
    pub(crate) plan: &'a Plan,
    pub(crate) release: &'a Release,
    pub(crate) revision: Revision,
    pub(crate) fallback: Option<String>,
    pub(crate) sizing: Sizing,
    /// That of what slots run that wait for their turn.
    pub(crate) sizing_before: Option<Sizing>,
    /// The slots that have to wait, where the rollout goes by stages.
    pub(crate) stage: Option<Stage<'a>>,
    pub(crate) scaling: Scaling,
    pub(crate) wanted: u32,
    /// The place of the node that fills each slot.
    pub(crate) slots: BTreeMap<u32, usize>,
    /// Jobs that are done, and where they ran; they take no room.
    pub(crate) done: BTreeMap<u32, &'a NodeName>,
    /// Slots that were kept, and whether their replica is ready: then it is the last to be moved.
    pub(crate) kept: BTreeMap<u32, bool>,
    /// Each replica that is ready: its slot and the place of its node, the better claims first.
    pub(crate) ready: Vec<(u32, usize)>,
    /// Slots that wait for their turn, and are served by what the rollout before this one left: no release that is
    /// known, so it goes on as it is.
    pub(crate) left_over: BTreeMap<u32, usize>,
    pub(crate) hash: u64,
    /// How many of its replicas each node and zone has.
    pub(crate) load: Spread,
    /// How many each has of those that are ready or before the slot that is being filled.
    pub(crate) settled: Settled,
    /// The zones of which no node may run it.
    pub(crate) closed: Rc<BTreeSet<usize>>,
}

impl<'a> App<'a> {
    /// What the replica of a slot asks of its node.
    pub(crate) fn ask(&self, slot: u32) -> Ask<'a> {
        self.ask_for(self.release_of(slot), self.each_of(slot))
    }

    /// What a replica of a release asks of its node.
    pub(crate) fn ask_for(&self, release: &Release, each: Nutrients) -> Ask<'a> {
        Ask { labels: &self.plan.constraints, each, port: release.port }
    }

    /// What the replica of a slot asks of the node that it is on, to stay there: no more because it was learned.
    pub(crate) fn claim(&self, slot: u32) -> Ask<'a> {
        let release = self.release_of(slot);
        self.ask_for(release, self.sizing_of(slot).claimed(release))
    }

    /// How much the replica of a slot gets by now.
    pub(crate) fn each_of(&self, slot: u32) -> Nutrients {
        self.sizing_of(slot).each
    }

    fn sizing_of(&self, slot: u32) -> &Sizing {
        match (&self.stage, &self.sizing_before) {
            (Some(stage), Some(before)) if stage.waiting.contains(&slot) => before,
            _ => &self.sizing,
        }
    }

    /// What a slot is to run by now.
    pub(crate) fn release_of(&self, slot: u32) -> &'a Release {
        match &self.stage {
            Some(stage) if stage.waiting.contains(&slot) => stage.previous,
            _ => self.release,
        }
    }

    /// Whether a slot may go on with what is of this revision.
    pub(crate) fn may_run(&self, slot: u32, revision: &Revision) -> bool {
        match &self.stage {
            // Of the rollout before this one something else may be left: it waits like all others.
            Some(stage) if stage.waiting.contains(&slot) => *revision != self.revision,
            _ => *revision == self.revision,
        }
    }

    /// Whether a slot that waits for its turn runs what neither the plan nor the one before it asks for.
    pub(crate) fn is_left_over(&self, slot: u32, revision: &Revision) -> bool {
        let waits = |stage: &&Stage| stage.waiting.contains(&slot) && stage.previous_revision != *revision;
        self.stage.as_ref().filter(waits).is_some() && *revision != self.revision
    }

    pub(crate) fn is_filled(&self, slot: u32) -> bool {
        self.slots.contains_key(&slot) || self.done.contains_key(&slot)
    }

    pub(crate) fn is_ready(&self, slot: u32) -> bool {
        self.kept.get(&slot) == Some(&true)
    }

    /// The slots that may move: new ones, and kept ones unless they are jobs, which would lose what they did.
    pub(crate) fn movable(&self) -> impl Iterator<Item = (u32, usize)> {
        let slots = self.slots.iter().map(|(slot, place)| (*slot, *place));
        let is_job = |slot: u32| self.release_of(slot).workload == Workload::Job;
        slots.filter(move |(slot, _)| !self.kept.contains_key(slot) || !is_job(*slot))
    }
}

impl<'a> Placement<'a> {
    /// All apps of the world, nothing placed.
    pub(crate) fn new(world: &World<'a>) -> Self {
        let budgets: BTreeMap<&AppName, &Budget> = world.budgets.iter().map(|b| (&b.app_name, *b)).collect();
        let mut observed: BTreeMap<&AppName, Vec<&Observed>> = BTreeMap::new();
        for seen in &world.observed {
            observed.entry(&seen.app_name).or_default().push(seen);
        }
        let mut learned: BTreeMap<&AppName, Vec<&Learned>> = BTreeMap::new();
        for of in &world.learned {
            learned.entry(&of.app_name).or_default().push(of);
        }
        let mut plans: BTreeMap<&AppName, &Planned> = BTreeMap::new();
        for planned in &world.plans {
            let held = plans.entry(&planned.plan.app_name).or_insert(planned);
            if planned.generation > held.generation {
                *held = planned;
            }
        }
        let room = Room::new(world.nodes.iter().copied(), &world.drained);
        let said = Said::of(world);
        let staged = staged(world, &plans, &room);
        let mut closed: BTreeMap<_, Rc<BTreeSet<usize>>> = BTreeMap::new();
        let apps = plans.into_values().map(|planned| {
            let (name, plan) = (&planned.plan.app_name, planned.plan);
            let seen = observed.get(name).map(Vec::as_slice).unwrap_or_default();
            let here = staged.get(name).map(Vec::as_slice).unwrap_or_default();
            let slots = Slots::of(here.iter().copied(), &plan.release.revision());
            let (release, fallback) = effective::release(plan, seen, slots.only_canaries(plan));
            let scaling = said.scaling(plan, &room);
            let budget = budgets.get(name).copied();
            let known = learned.get(name).map(Vec::as_slice).unwrap_or_default();
            let previous = plan.previous.as_ref().map(|previous| &previous.release);
            let sizing = size::sizing(plan, release, previous, known, budget);
            let wanted = effective::wanted(scaling.replicas, sizing.each, budget);
            let stage = fallback.is_none().then(|| stage::of(plan, wanted, &slots)).flatten();
            let before = stage.as_ref().map(|stage| size::sizing(plan, stage.previous, None, known, budget));
            App {
                name,
                generation: planned.generation,
                plan,
                release,
                revision: release.revision(),
                fallback,
                sizing,
                sizing_before: before,
                stage,
                scaling,
                wanted,
                slots: BTreeMap::new(),
                done: BTreeMap::new(),
                kept: BTreeMap::new(),
                ready: Vec::new(),
                left_over: BTreeMap::new(),
                hash: ring::hash(name.as_str()),
                load: Spread::default(),
                settled: Settled::default(),
                closed: Rc::clone(
                    closed.entry(&plan.constraints).or_insert_with(|| room.closed(&plan.constraints)),
                ),
            }
        });
        let apps = apps.collect();
        Self { room, apps, ring: None, leaving: Vec::new() }
    }

    /// Promises room of a node to a slot.
    pub(crate) fn put(&mut self, app: usize, slot: u32, place: usize) {
        let app = &mut self.apps[app];
        self.room.take(place, &app.ask(slot));
        app.slots.insert(slot, place);
        app.load.add(place, self.room.zone(place));
    }

    /// Promises room of a node to a replica that is there, as far as it claims it.
    pub(crate) fn hold(&mut self, app: usize, slot: u32, place: usize) {
        let app = &mut self.apps[app];
        self.room.take(place, &app.claim(slot));
        app.slots.insert(slot, place);
        app.load.add(place, self.room.zone(place));
    }

    pub(crate) fn take_away(&mut self, app: usize, slot: u32) {
        let app = &mut self.apps[app];
        if let Some(place) = app.slots.remove(&slot) {
            self.room.give_back(place, &app.ask(slot));
            app.load.remove(place, self.room.zone(place));
        }
    }
}

/// The endpoints on living nodes of the apps whose rollouts go by stages.
fn staged<'a>(
    world: &World<'a>,
    plans: &BTreeMap<&AppName, &Planned>,
    room: &Room,
) -> BTreeMap<&'a AppName, Vec<&'a Endpoint>> {
    let mut staged: BTreeMap<&AppName, Vec<&Endpoint>> = BTreeMap::new();
    if plans.values().any(|planned| planned.plan.rollout.is_staged()) {
        for endpoint in &world.endpoints {
            let plan = plans.get(&endpoint.app_name).filter(|planned| planned.plan.rollout.is_staged());
            if plan.is_some() && room.place(&endpoint.node_id).is_some() {
                staged.entry(&endpoint.app_name).or_default().push(endpoint);
            }
        }
    }
    staged
}

#[cfg(test)]
mod tests;
