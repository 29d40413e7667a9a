//! Stages: which slots take the plan's release already, where its rollout goes slot by slot.
//!
//! The first slots, its canaries, go ahead; the others follow in the order of their numbers once every canary has
//! been ready for the warm-up, so many at a time as the plan allows. All of it follows from the endpoints: a node
//! says of its replica that it is *warm* once it has been ready for so long. What has begun to change goes on, so
//! that nothing goes back and forth because an earlier slot fails later.
//!
//! There is no leader, so what is guaranteed is this: a node begins to change a slot only when, as far as it
//! knows, all lower ones have begun and fewer than the plan's number are changing. Two nodes that don't know of
//! each other's last step yet can so exceed the number, by the slots of one such step at most; the node of the
//! next slot waits, because it has to see the records of both. While canaries are out, any failure ends the rollout.

use std::collections::{BTreeMap, BTreeSet};

use genome::{Endpoint, Plan, Release, ReplicaState, Revision};

use crate::Rollout;

/// A rollout under way: who waits, and with what.
pub(crate) struct Stage<'a> {
    pub(crate) previous: &'a Release,
    pub(crate) previous_revision: Revision,
    /// Slots that don't take the plan's release yet.
    pub(crate) waiting: BTreeSet<u32>,
    /// How far it is, for people.
    pub(crate) rollout: Rollout,
}

/// A slot, as its endpoints on living nodes show it.
#[derive(Default, Clone, Copy)]
struct Slot {
    /// It has begun to take the plan's release.
    begun: bool,
    /// The plan's release is ready there, and has been for the warm-up.
    done: bool,
}

/// What is known of an app's slots.
pub(crate) struct Slots {
    of: BTreeMap<u32, Slot>,
    /// Something else than the plan's release runs.
    others: bool,
}

impl Slots {
    /// From the endpoints on living nodes, of an app whose plan's release is `revision`.
    pub(crate) fn of<'a>(endpoints: impl Iterator<Item = &'a Endpoint>, revision: &Revision) -> Self {
        let mut slots = Self { of: BTreeMap::new(), others: false };
        for endpoint in endpoints.filter(|endpoint| endpoint.state != ReplicaState::Draining) {
            if endpoint.revision != *revision {
                slots.others = true;
                continue;
            }
            let slot = slots.of.entry(endpoint.slot).or_default();
            slot.begun = true;
            slot.done |= endpoint.state == ReplicaState::Completed || (endpoint.is_ready() && endpoint.warm);
        }
        slots
    }

    fn get(&self, slot: u32) -> Slot {
        self.of.get(&slot).copied().unwrap_or_default()
    }

    /// Whether the canaries alone have taken the plan's release so far: then none of them may fail.
    pub(crate) fn only_canaries(&self, plan: &Plan) -> bool {
        plan.rollout.canary.is_some_and(|canary| self.of.range(canary..).next().is_none())
    }
}

/// Where the rollout of a plan is, if it goes by stages and isn't over.
pub(crate) fn of<'a>(plan: &'a Plan, wanted: u32, slots: &Slots) -> Option<Stage<'a>> {
    let previous = &plan.previous.as_ref()?.release;
    let previous_revision = previous.revision();
    if !plan.rollout.is_staged() || previous_revision == plan.release.revision() || !slots.others {
        return None;
    }
    let canary = plan.rollout.canary.unwrap_or(0).min(wanted);
    let proven = (0..canary).filter(|slot| slots.get(*slot).done).count();
    let trying = slots.only_canaries(plan) && proven < canary as usize;
    let limit = plan.rollout.max_unavailable.map_or(u32::MAX, |limit| limit.max(1));
    let changing = (0..wanted).map(|slot| slots.get(slot)).filter(|slot| slot.begun && !slot.done).count();
    let mut changing = u32::try_from(changing).unwrap_or(u32::MAX);
    let mut waiting = BTreeSet::new();
    for slot in (0..wanted).filter(|slot| !slots.get(*slot).begun) {
        if slot < canary || (!trying && changing < limit) {
            changing = changing.saturating_add(1);
        } else {
            waiting.insert(slot);
        }
    }
    let done = (0..wanted).filter(|slot| slots.get(*slot).done).count();
    let rollout = Rollout {
        canary: if trying { canary } else { 0 },
        done: u32::try_from(done).unwrap_or(wanted),
        changing,
        waiting: u32::try_from(waiting.len()).unwrap_or(wanted),
        version: crate::effective::called(&plan.release),
    };
    Some(Stage { previous, previous_revision, waiting, rollout })
}

#[cfg(test)]
mod tests;
