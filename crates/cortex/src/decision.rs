//! Decision: what follows from a world, for every app and so for every node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use genome::{Endpoint, Release, Revision};
use types::{AppName, NodeName, Nutrients};

use crate::place::Placement;
use crate::{Scaling, Sizing, World};

/// What every node does, as every node derives it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Every app that has a plan.
    pub apps: BTreeMap<AppName, AppDecision>,
}

/// What becomes of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppDecision {
    /// The generation of the plan.
    pub generation: u64,
    /// What runs: the plan's release, or the one before it.
    pub release: Release,
    /// The identity of [`AppDecision::release`].
    pub revision: Revision,
    /// How much each replica of it gets, and why.
    pub sizing: Sizing,
    /// How much each replica of [`AppDecision::before`] gets.
    pub sizing_before: Option<Sizing>,
    /// Why the release before the plan's runs, when it does.
    pub fallback: Option<String>,
    /// How far the rollout is, while some slots wait for others.
    pub rollout: Option<Rollout>,
    /// What the slots run that wait, and its identity.
    pub before: Option<(Release, Revision)>,
    /// The slots that wait for their turn to take [`AppDecision::release`].
    pub waiting: BTreeSet<u32>,
    /// How many replicas there should be, room or not.
    pub wanted: u32,
    /// How many its plan asks for, and by what.
    pub scaling: Scaling,
    /// Why fewer are wanted than the plan asks for, when the budget is the reason.
    pub limited: Option<String>,
    /// Who fills which place. A completed job stays where it ran, even when that node is gone.
    pub slots: BTreeMap<u32, NodeName>,
    /// Where a replica of a slot serves on as it is, until the one that takes its place is ready elsewhere.
    pub stays: BTreeMap<u32, NodeName>,
    /// So many places found no node with room.
    pub unplaced: u32,
    /// How long green must have been ready before blue is drained.
    pub warmup: Duration,
    /// How long open requests of a leaving replica may go on.
    pub grace: Duration,
}

/// How far a rollout is that goes slot by slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// What people call the release.
    pub version: String,
    /// How many slots try it first and are not all proven yet; 0 once they are.
    pub canary: u32,
    /// How many slots run it and have been ready for the warm-up.
    pub done: u32,
    /// How many are changing.
    pub changing: u32,
    /// How many wait.
    pub waiting: u32,
}

/// One replica that a node is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The app.
    pub app: AppName,
    /// The place it fills.
    pub slot: u32,
    /// What it runs.
    pub release: Release,
    /// The identity of [`Assignment::release`].
    pub revision: Revision,
    /// How much it gets of its node.
    pub each: Nutrients,
    /// The generation of the plan.
    pub generation: u64,
    /// Others wait for it: its record is to say when it has been ready for the warm-up.
    pub watched: bool,
    /// See [`AppDecision::warmup`].
    pub warmup: Duration,
    /// See [`AppDecision::grace`].
    pub grace: Duration,
}

/// Derives what every node does. Pure: the same world gives the same decision, on every machine.
#[must_use]
pub fn decide(world: &World) -> Decision {
    let mut placement = Placement::new(world);
    placement.keep(world);
    placement.fill();
    if placement.stay() {
        placement.fill();
    }
    let room = &placement.room;
    let decided = placement.apps.iter().map(|app| {
        let placed = app.slots.iter().map(|(slot, place)| (*slot, room.name(*place).clone()));
        let done = app.done.iter().map(|(slot, node)| (*slot, (*node).clone()));
        let slots: BTreeMap<u32, NodeName> = placed.chain(done).collect();
        let asked = app.scaling.replicas;
        let decision = AppDecision {
            generation: app.generation,
            release: app.release.clone(),
            revision: app.revision.clone(),
            sizing: app.sizing,
            sizing_before: app.sizing_before,
            fallback: app.fallback.clone(),
            rollout: app.stage.as_ref().map(|stage| stage.rollout.clone()),
            before: app.stage.as_ref().map(|s| (s.previous.clone(), s.previous_revision.clone())),
            waiting: app.stage.as_ref().map(|stage| stage.waiting.clone()).unwrap_or_default(),
            wanted: app.wanted,
            scaling: app.scaling.clone(),
            limited: (app.wanted < asked)
                .then(|| format!("the budget holds {} of {asked} replicas", app.wanted)),
            unplaced: app.wanted - u32::try_from(slots.len()).unwrap_or(app.wanted),
            slots,
            stays: placement.stays(app).map(|(slot, place)| (slot, room.name(place).clone())).collect(),
            warmup: app.plan.warmup(),
            grace: app.plan.grace(),
        };
        (app.name.clone(), decision)
    });
    Decision { apps: decided.collect() }
}

impl AppDecision {
    /// What a slot runs by now.
    #[must_use]
    pub fn release_of(&self, slot: u32) -> &Release {
        self.before
            .as_ref()
            .filter(|_| self.waiting.contains(&slot))
            .map_or(&self.release, |(release, _)| release)
    }

    /// How much the replica of a slot gets by now.
    #[must_use]
    pub fn each_of(&self, slot: u32) -> Nutrients {
        self.sizing_before.filter(|_| self.waiting.contains(&slot)).unwrap_or(self.sizing).each
    }

    /// The identity of [`AppDecision::release_of`].
    #[must_use]
    pub fn revision_of(&self, slot: u32) -> &Revision {
        let before = self.before.as_ref().filter(|_| self.waiting.contains(&slot));
        before.map_or(&self.revision, |(_, revision)| revision)
    }

    /// Whether an endpoint runs what its slot is to run by now.
    #[must_use]
    pub fn is_current(&self, endpoint: &Endpoint) -> bool {
        endpoint.revision == *self.revision_of(endpoint.slot)
            || (self.waiting.contains(&endpoint.slot)
                && self.stays.get(&endpoint.slot) == Some(&endpoint.node_id))
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, canary, done, changing, waiting } = self;
        if *canary > 0 {
            let of = if *canary == 1 { "canary" } else { "canaries" };
            return write!(
                f,
                "{done} of {canary} {of} of {version} proven, {waiting} replicas wait for that"
            );
        }
        write!(f, "{done} replicas run {version}, {changing} change, {waiting} wait")
    }
}

impl Decision {
    /// The part of one node, in the order of app and slot.
    #[must_use]
    pub fn of_node(&self, node: &NodeName) -> Vec<Assignment> {
        let of_app = |(app, decision): (&AppName, &AppDecision)| {
            let stays = |slot: &u32| decision.stays.get(slot) == Some(node);
            let mine = decision.slots.iter().filter(|(slot, holder)| *holder == node && !stays(slot));
            mine.map(|(slot, _)| Assignment {
                app: app.clone(),
                slot: *slot,
                release: decision.release_of(*slot).clone(),
                revision: decision.revision_of(*slot).clone(),
                each: decision.each_of(*slot),
                generation: decision.generation,
                watched: decision.rollout.is_some() && !decision.waiting.contains(slot),
                warmup: decision.warmup,
                grace: decision.grace,
            })
            .collect::<Vec<_>>()
        };
        self.apps.iter().flat_map(of_app).collect()
    }

    /// The slots of which a node keeps what serves there as it is, and starts nothing.
    #[must_use]
    pub fn stays_of(&self, node: &NodeName) -> BTreeSet<(AppName, u32)> {
        let of_app = |(app, decision): (&AppName, &AppDecision)| {
            let mine = decision.stays.iter().filter(|(_, holder)| *holder == node);
            mine.map(|(slot, _)| (app.clone(), *slot)).collect::<Vec<_>>()
        };
        self.apps.iter().flat_map(of_app).collect()
    }
}

#[cfg(test)]
mod tests;
