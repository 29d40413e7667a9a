//! What this node tells the others about releases: "this one could not be brought up here".
//!
//! The planner lets every node fall back once enough of them say so. A release is judged again when its
//! app gets a newer plan: an observation belongs to the generation in which it was made.

use genome::{Failure, Revision};
use types::{AppName, ReplicaName};

use super::Core;
use super::message::{Action, Observing};
use super::replica::cut;

/// An observation that stands.
#[derive(Debug, Clone)]
pub(super) struct Reported {
    /// The release.
    pub revision: Revision,
    /// The slot it failed in, when this agent saw it itself.
    pub slot: Option<u32>,
    /// The generation it was observed in, when it is known.
    pub generation: Option<u64>,
}

impl Core {
    /// Publishes that the release a replica runs could not be brought up, if it is still the wanted one.
    pub(super) fn report(&mut self, name: &ReplicaName, reason: String) {
        let Some(launch) = self.replicas.get(name).map(|replica| replica.launch.clone()) else { return };
        let Some(wanted) = self.wanted.get(&(launch.app.clone(), launch.slot)) else { return };
        // What only waits for its successor is not what the plan is about.
        let newest =
            self.plans.get(&launch.app).is_none_or(|note| note.waiting.as_ref() != Some(&launch.revision));
        if wanted.revision != launch.revision || !newest {
            return;
        }
        // What runs instead of a release that failed has nothing to fall back to, and saying that it fails as well
        // would take back why it runs: then both would be tried in turn for ever.
        if self.plans.get(&launch.app).is_some_and(|plan| plan.fallback.is_some()) {
            return;
        }
        let report = Reported {
            revision: launch.revision.clone(),
            slot: Some(launch.slot),
            generation: Some(wanted.generation),
        };
        let known = self.reported.insert(launch.app.clone(), report);
        if known.is_some_and(|known| known.revision == launch.revision) {
            return;
        }
        let failure = Failure { revision: launch.revision, reason: cut(&reason), at: self.now.wall };
        self.act(Action::Observe(launch.app, Observing::Failed(failure)));
    }

    /// A slot serves: what was said of its release holds no longer.
    pub(super) fn withdraw_of(&mut self, app: &AppName, slot: u32) {
        let Some(wanted) = self.wanted.get(&(app.clone(), slot)) else { return };
        let proved_wrong = self.reported.get(app).is_some_and(|reported| {
            reported.revision == wanted.revision && reported.slot.is_none_or(|failed| failed == slot)
        });
        if proved_wrong {
            self.withdraw(app);
        }
    }

    /// Withdraws what was said of plans that are gone or superseded.
    pub(super) fn withdraw_old(&mut self) {
        let mut old = Vec::new();
        for (app, reported) in &mut self.reported {
            let current = self.plans.get(app).map(|plan| plan.generation);
            let observed = *reported.generation.get_or_insert(current.unwrap_or(0));
            if current.is_none_or(|current| current > observed) {
                old.push(app.clone());
            }
        }
        for app in old {
            self.withdraw(&app);
        }
    }

    fn withdraw(&mut self, app: &AppName) {
        self.reported.remove(app);
        self.act(Action::Observe(app.clone(), Observing::Withdrawn));
    }
}
