//! Stickiness: what runs already keeps its place, as far as it still fits there.

use genome::{Endpoint, ReplicaState};
use types::{Nutrients, Workload};

use crate::World;
use crate::place::{App, Placement};
use crate::ring;

/// A replica that asks to keep its slot. Claims are heard in their order: first those that stay as they are,
/// so that an update which grew doesn't take the room of others; then older plans first; within a slot the
/// one that serves best.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Claim {
    changes: bool,
    generation: u64,
    app: usize,
    slot: u32,
    progress: u8,
    distance: u64,
    place: usize,
    /// See [`App::left_over`].
    left_over: bool,
}

impl<'a> Placement<'a> {
    /// Gives each slot to a replica that fills it already, where its node is alive and fits.
    pub(crate) fn keep(&mut self, world: &World<'a>) {
        self.note_done(world);
        let claim = |endpoint: &&Endpoint| self.claim(self.app_of(endpoint)?, endpoint);
        let mut claims: Vec<Claim> = world.endpoints.iter().filter_map(claim).collect();
        claims.sort_unstable();
        for claim in claims {
            let app = &mut self.apps[claim.app];
            if claim.progress == 0 {
                app.ready.push((claim.slot, claim.place));
            }
            if self.room.is_drained(claim.place) && !ends_where_it_is(app, &claim) {
                self.leaves(claim.app, claim.slot, claim.place, claim.progress == 0);
                continue;
            }
            let app = &self.apps[claim.app];
            if !app.is_filled(claim.slot) && self.room.holds(claim.place, &app.claim(claim.slot)) {
                self.hold(claim.app, claim.slot, claim.place);
                self.apps[claim.app].kept.insert(claim.slot, claim.progress == 0);
                if claim.left_over {
                    self.apps[claim.app].left_over.insert(claim.slot, claim.place);
                }
            }
        }
        self.grow();
        self.reserve_ports();
    }

    /// Promises to what was kept what it gets beyond its claim: after all claims were heard, so that nobody leaves for it.
    fn grow(&mut self) {
        for app in &self.apps {
            for (slot, place) in &app.slots {
                let (each, claimed) = (app.each_of(*slot), app.claim(*slot).each);
                self.room.promise(
                    *place,
                    Nutrients {
                        cpu_milli: each.cpu_milli - claimed.cpu_milli,
                        memory_mb: each.memory_mb - claimed.memory_mb,
                    },
                );
            }
        }
    }

    /// Notes the jobs that are done: they are never run again, wherever their nodes are now.
    pub(crate) fn note_done(&mut self, world: &World<'a>) {
        for endpoint in &world.endpoints {
            let Some(app) = self.app_of(endpoint) else { continue };
            let app = &mut self.apps[app];
            if app.release_of(endpoint.slot).workload == Workload::Job
                && endpoint.state == ReplicaState::Completed
                && app.may_run(endpoint.slot, &endpoint.revision)
            {
                let node = app.done.entry(endpoint.slot).or_insert(&endpoint.node_id);
                *node = (*node).min(&endpoint.node_id);
            }
        }
    }

    /// The app whose slot an endpoint fills, if the app still has that slot.
    fn app_of(&self, endpoint: &Endpoint) -> Option<usize> {
        let app = self.apps.binary_search_by_key(&&endpoint.app_name, |app| app.name).ok()?;
        (endpoint.slot < self.apps[app].wanted).then_some(app)
    }

    fn claim(&self, app: usize, endpoint: &Endpoint) -> Option<Claim> {
        let place = self.room.place(&endpoint.node_id)?;
        let progress = progress(endpoint.state)?;
        let of = &self.apps[app];
        let point = ring::point(of.hash, endpoint.slot);
        Some(Claim {
            changes: !of.may_run(endpoint.slot, &endpoint.revision),
            generation: of.generation,
            app,
            slot: endpoint.slot,
            progress,
            distance: ring::distance(point, &endpoint.node_id),
            place,
            left_over: progress == 0 && of.is_left_over(endpoint.slot, &endpoint.revision),
        })
    }
}

/// Whether a replica is a job under way, which would lose what it did.
fn ends_where_it_is(app: &App, claim: &Claim) -> bool {
    app.release_of(claim.slot).workload == Workload::Job && !claim.changes && claim.progress <= 1
}

/// How near to serving a replica is; nothing for one that is leaving.
const fn progress(state: ReplicaState) -> Option<u8> {
    match state {
        ReplicaState::Ready | ReplicaState::Completed => Some(0),
        ReplicaState::Launching => Some(1),
        ReplicaState::Verifying => Some(2),
        ReplicaState::Pulling => Some(3),
        ReplicaState::Backoff => Some(4),
        ReplicaState::Refused => Some(5),
        ReplicaState::Draining => None,
    }
}
