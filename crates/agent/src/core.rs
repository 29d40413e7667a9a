//! The core: the replicas of one node as a state machine.
//!
//! It compares what should run with what does and asks for the difference, after every input and for every
//! reason alike: a first start, a crash, an update, a scale-down and an adoption are one path. It reads no
//! clock, opens nothing and waits for nothing; chance comes from a seed.
//!
//! The order of an update, so that no request can fail: green is prepared, spawned and probed beside blue;
//! in the step in which it is found ready its record becomes `ready` and blue's `draining`, in this order, and only
//! then is the edge told to let go of blue: it knows green by then.
//! Blue's process stays for the warm-up, in which it becomes `ready` again at once should green die; after
//! it, and once the edge has let go of blue's last request (bounded by the grace), blue is terminated.
//! A fixed port, or a job, leaves no room for two: green is prepared, blue drained and stopped, green spawned.

mod adopt;
mod life;
mod message;
mod observe;
mod publish;
mod reconcile;
mod renew;
mod replica;
mod rng;
mod timing;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cortex::Assignment;
use genome::Endpoint;
use telemetry::EventKind;
use types::{AppName, NodeName, ReplicaName};

pub use message::{
    Action, Adopted, Adoption, Check, Draft, Facts, Input, Launch, LaunchId, NotSpawned, Now, Observing,
    PlanNote, Probe, Unprepared, World,
};
use observe::Reported;
use replica::Replica;
use rng::Rng;
pub use timing::Timing;

/// A place of an app: the app and the number of the slot.
type Slot = (AppName, u32);

/// The state of one node's replicas.
#[derive(Debug)]
pub struct Core {
    node: NodeName,
    timing: Timing,
    rng: Rng,
    now: Now,
    serial: u64,
    /// Before the first [`Input::World`], nothing is wanted only because nothing is known.
    knows_wanted: bool,
    stopping: bool,
    wanted: BTreeMap<Slot, Assignment>,
    /// Slots that aren't wanted here, whose replica serves on until it does elsewhere.
    stays: BTreeSet<Slot>,
    plans: BTreeMap<AppName, PlanNote>,
    replicas: BTreeMap<ReplicaName, Replica>,
    /// The records of this node as the fabric has them.
    published: BTreeMap<ReplicaName, Endpoint>,
    /// What this node has observed and not withdrawn.
    reported: BTreeMap<AppName, Reported>,
    /// Apps to look at before this input is dealt with.
    dirty: BTreeSet<AppName>,
    actions: Vec<Action>,
    drainings: Vec<Action>,
    cleanings: Vec<Action>,
}

impl Core {
    /// The core of `node`, knowing nothing yet: the first input should be [`Input::Adopt`].
    #[must_use]
    pub const fn new(node: NodeName, timing: Timing, seed: u64, now: Now) -> Self {
        Self {
            node,
            timing,
            rng: Rng::new(seed),
            now,
            serial: 0,
            knows_wanted: false,
            stopping: false,
            wanted: BTreeMap::new(),
            stays: BTreeSet::new(),
            plans: BTreeMap::new(),
            replicas: BTreeMap::new(),
            published: BTreeMap::new(),
            reported: BTreeMap::new(),
            dirty: BTreeSet::new(),
            actions: Vec::new(),
            drainings: Vec::new(),
            cleanings: Vec::new(),
        }
    }

    /// Takes note of `input` and says what is to be done, in this order.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        self.now = Now { mono: now.mono.max(self.now.mono), wall: now.wall };
        self.note(input);
        self.due();
        if self.knows_wanted {
            for app in std::mem::take(&mut self.dirty) {
                self.reconcile(&app);
                self.publish(&app);
            }
        }
        // The edge learns of who replaces the drained from records.
        self.actions.append(&mut self.drainings);
        // What a record says of an end must be said before the keeper may forget that end.
        self.actions.append(&mut self.cleanings);
        std::mem::take(&mut self.actions)
    }

    /// When [`Input::Tick`] is next needed.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.deadlines().map(|(_, at)| at).filter(|at| *at > self.now.mono).min()
    }

    /// Whether nothing is left of any replica that could still change.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.replicas.values().any(Replica::is_occupied)
    }

    /// Whether this is a replica of this node, whatever becomes of it.
    pub fn has(&self, replica: &ReplicaName) -> bool {
        self.replicas.contains_key(replica)
    }

    /// The replicas of this node, whatever becomes of them.
    pub fn replicas(&self) -> impl Iterator<Item = &ReplicaName> {
        self.replicas.keys()
    }

    /// The replicas that have a process: what was launched, the process, whether it serves, and since when.
    pub fn running(&self) -> impl Iterator<Item = (&Launch, u32, bool, Option<Duration>)> {
        let alive = self.replicas.values().filter(|replica| replica.is_alive());
        alive
            .filter_map(|replica| Some((&replica.launch, replica.pid?, replica.is_ready(), replica.ready_at)))
    }

    /// Whether a replica would run if somebody else were trusted, a secret were another, or the node were.
    #[must_use]
    pub fn waits_for_trust(&self) -> bool {
        self.replicas.values().any(|replica| replica.phase == replica::Phase::Refused)
    }

    fn note(&mut self, input: Input) {
        match input {
            Input::Adopt(adoption) => self.adopt(*adoption),
            Input::World(world) => self.see(world),
            Input::TrustChanged => self.retry(|replica| replica.phase == replica::Phase::Refused),
            // It may have been missing, or damaged.
            Input::SporeArrived(digest) => self.retry(|replica| {
                matches!(
                    replica.phase,
                    replica::Phase::Backoff { .. } | replica::Phase::Missing { .. } | replica::Phase::Refused
                ) && replica.launch.digest == digest
            }),
            Input::Prepared(id, facts) => self.prepared(&id, facts),
            Input::Unprepared(id, why) => self.unprepared(&id, why),
            Input::Spawned { id, pid, port } => self.spawned(&id, pid, port),
            Input::NotSpawned(id, why) => self.not_spawned(&id, why),
            Input::Renewed(id, revision, result) => self.renewed(&id, revision, result),
            Input::Probed(id, result) => self.probed(&id, result),
            Input::Drained { replica, drain } => self.drained(&replica, drain),
            Input::Exited { id, exit, cause, last_line } => self.exited(&id, exit, cause, &last_line),
            Input::Tick => {}
            Input::Shutdown => self.shut_down(),
        }
    }

    fn see(&mut self, world: World) {
        if self.stopping {
            return;
        }
        self.knows_wanted = true;
        let wanted: BTreeMap<Slot, Assignment> =
            world.assignments.into_iter().map(|wanted| ((wanted.app.clone(), wanted.slot), wanted)).collect();
        self.tell_of_plans(&wanted, &world.plans);
        self.plans = world.plans;
        let changed =
            wanted.iter().filter(|(slot, new)| self.wanted.get(slot) != Some(new)).map(|(slot, _)| slot);
        let gone = self.wanted.keys().filter(|slot| !wanted.contains_key(slot));
        let mut dirty: BTreeSet<AppName> = changed.chain(gone).map(|(app, _)| app.clone()).collect();
        dirty.extend(
            self.replicas
                .values()
                .map(|replica| &replica.launch)
                .filter(|launch| !wanted.contains_key(&(launch.app.clone(), launch.slot)))
                .map(|launch| launch.app.clone()),
        );
        self.dirty.append(&mut dirty);
        self.wanted = wanted;
        self.stays = world.stays;
        self.withdraw_old();
    }

    /// Says which plans are news, and which releases were given up for the ones before them.
    fn tell_of_plans(&mut self, wanted: &BTreeMap<Slot, Assignment>, plans: &BTreeMap<AppName, PlanNote>) {
        for (app, note) in plans {
            let known = self.plans.get(app).map(|known| (known.generation, known.fallback.is_some()));
            if known.is_none_or(|(generation, _)| generation != note.generation) {
                self.emit(EventKind::PlanReceived, app, None, note.summary.clone());
            }
            // An agent that starts finds a fallback as it is: that was news to the one before it.
            let news = known.is_some_and(|known| known != (note.generation, true));
            if let Some(why) = note.fallback.as_ref().filter(|_| news)
                && wanted.keys().any(|(other, _)| other == app)
            {
                self.emit(EventKind::RolledBack, app, None, why.clone());
            }
        }
    }

    /// What waits for the world to change is tried again now.
    fn retry(&mut self, which: impl Fn(&Replica) -> bool) {
        let now = self.now.mono;
        for replica in self.replicas.values_mut().filter(|replica| which(replica)) {
            replica.phase = replica::Phase::Backoff { until: now };
            self.dirty.insert(replica.launch.app.clone());
        }
    }

    fn shut_down(&mut self) {
        self.stopping = true;
        self.knows_wanted = true;
        self.wanted.clear();
        self.stays.clear();
        self.plans.clear();
        // A job that is done stays done: its record outlives the mesh, which would run it again otherwise.
        let done = |replica: &Replica| replica.phase == replica::Phase::Completed;
        for (name, _) in self.replicas.extract_if(.., |_, replica| done(replica)) {
            self.published.remove(&name);
        }
        self.dirty.extend(self.replicas.values().map(|replica| replica.launch.app.clone()));
    }

    /// When each replica next has something to be done about it, past times included.
    fn deadlines(&self) -> impl Iterator<Item = (&ReplicaName, Duration)> {
        let known = |name| self.published.get(name).map(|record| record.state);
        self.replicas.iter().filter_map(move |(name, replica)| Some((name, replica.deadline(known(name))?)))
    }

    fn clean(&mut self, id: LaunchId) {
        self.cleanings.push(Action::Clean(id));
    }

    fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    fn emit(
        &mut self,
        kind: EventKind,
        app: &AppName,
        replica: Option<&ReplicaName>,
        message: impl Into<String>,
    ) {
        let draft =
            Draft { kind, app: Some(app.clone()), replica: replica.cloned(), message: message.into() };
        self.act(Action::Emit(draft));
    }
}

#[cfg(test)]
mod tests;
