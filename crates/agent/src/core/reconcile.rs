//! The difference between what should run of an app and what does.

use std::time::Duration;

use cortex::Assignment;
use genome::Settings;
use types::{AppName, ReplicaName, Workload};

use super::message::{Action, Launch, LaunchId};
use super::replica::{Drain, Phase, Renewal, Replica, Then};
use super::{Core, Slot};

impl Core {
    /// Brings every slot of `app` one step nearer to what is wanted of it.
    pub(super) fn reconcile(&mut self, app: &AppName) {
        let mut slots: Vec<u32> = self.of_app(app).map(|replica| replica.launch.slot).collect();
        slots.extend(
            self.wanted.range((app.clone(), 0)..=(app.clone(), u32::MAX)).map(|((_, slot), _)| *slot),
        );
        slots.sort_unstable();
        slots.dedup();
        for number in slots {
            let slot = (app.clone(), number);
            match self.wanted.get(&slot).cloned() {
                None if self.stays.contains(&slot) => self.stay(&slot),
                None => {
                    for name in self.members(&slot) {
                        self.leave(&name);
                    }
                }
                Some(wanted) => self.fill(&slot, &wanted),
            }
        }
    }

    /// One wanted slot: finds or makes the replica that should fill it, and sees to its predecessors.
    fn fill(&mut self, slot: &Slot, wanted: &Assignment) {
        let members = self.members(slot);
        let target = members
            .iter()
            .filter_map(|name| self.replicas.get(name))
            .filter(|replica| replica.launch.revision == wanted.revision && !replica.is_going())
            .max_by_key(|replica| (replica.rank(), replica.serial))
            .map(|replica| replica.launch.id.replica.clone());
        if target.is_none()
            && let Some(name) = self.renewable(&members, wanted)
        {
            return self.renew(&name, wanted);
        }
        let others: Vec<ReplicaName> =
            members.into_iter().filter(|name| Some(name) != target.as_ref()).collect();
        if let Some(name) = &target {
            self.advance(name, wanted);
        }
        let serves = target.as_ref().and_then(|name| self.replicas.get(name)).is_some_and(Replica::is_ready);
        if serves {
            self.replace(&others, target.as_ref(), wanted);
        } else {
            self.stand_in(&others, wanted);
        }
        if target.is_none() && self.has_room(&slot.0) {
            self.create(wanted);
        }
    }

    /// A slot that is on its way to another node: what serves it goes on, and nothing else is begun.
    fn stay(&mut self, slot: &Slot) {
        let members = self.members(slot);
        let replicas = members.iter().filter_map(|name| self.replicas.get(name));
        let alive = replicas.filter(|replica| replica.is_alive() && !replica.is_going());
        let serves = alive.max_by_key(|replica| (replica.rank(), replica.serial));
        let serves = serves.map(|replica| replica.launch.id.replica.clone());
        for name in members.iter().filter(|name| Some(*name) != serves.as_ref()) {
            self.leave(name);
        }
    }

    /// The replica of the wanted revision takes its next step, if that is for us to decide.
    fn advance(&mut self, name: &ReplicaName, wanted: &Assignment) {
        let Some(replica) = self.replicas.get_mut(name) else { return };
        let newer = replica.generation != wanted.generation;
        replica.generation = wanted.generation;
        replica.watched = wanted.watched.then_some(wanted.warmup);
        replica.warm |= replica.warm_at().is_some_and(|at| at <= self.now.mono);
        replica.launch.grace_ms = u64::try_from(wanted.grace.as_millis()).unwrap_or(u64::MAX);
        match &replica.phase {
            Phase::Draining(_) => self.restore(name),
            Phase::Prepared => self.spawn_when_free(name, wanted),
            Phase::Refused if newer => self.relaunch(name, wanted),
            Phase::Backoff { until } | Phase::Missing { until } if *until <= self.now.mono => {
                self.relaunch(name, wanted);
            }
            _ => {}
        }
    }

    /// The wanted revision serves: whatever else fills the slot leaves it.
    fn replace(&mut self, others: &[ReplicaName], by: Option<&ReplicaName>, wanted: &Assignment) {
        let hold = if self.is_warm(wanted) { Duration::ZERO } else { wanted.warmup };
        for name in others {
            let Some(other) = self.replicas.get_mut(name) else { continue };
            if other.is_ready() {
                let version = if wanted.release.version.is_empty() { "" } else { &wanted.release.version };
                let heir = by.map_or("", ReplicaName::as_str);
                let message = format!("replaced by {heir} {version}");
                message.trim_end().clone_into(&mut other.message);
                self.drain(name, hold);
            } else if !matches!(other.phase, Phase::Draining(_)) {
                self.leave(name);
            }
        }
    }

    /// Whether a replica of the wanted revision has been ready here for the warm-up: the first one of a node
    /// is watched for so long, the others follow it as fast as they can.
    fn is_warm(&self, wanted: &Assignment) -> bool {
        let long = |since: Duration| self.now.mono.saturating_sub(since) >= wanted.warmup;
        self.of_app(&wanted.app).any(|replica| {
            replica.launch.revision == wanted.revision
                && replica.is_ready()
                && replica.ready_at.is_some_and(long)
        })
    }

    /// The wanted revision doesn't serve: one predecessor does, or does so again, until it is.
    fn stand_in(&mut self, others: &[ReplicaName], wanted: &Assignment) {
        let youngest = |which: &dyn Fn(&Replica) -> bool| {
            let replicas = others.iter().filter_map(|name| self.replicas.get(name));
            let found = replicas.filter(|replica| which(replica)).max_by_key(|replica| replica.serial);
            found.map(|replica| replica.launch.id.replica.clone())
        };
        let serving = youngest(&Replica::is_ready);
        let drains = |replica: &Replica| matches!(replica.phase, Phase::Draining(_));
        let spare = youngest(&|replica| drains(replica) && !in_the_way(replica, wanted));
        let keep = match (serving, spare) {
            (Some(serving), _) => Some(serving),
            (None, Some(spare)) => {
                self.restore(&spare);
                Some(spare)
            }
            (None, None) => None,
        };
        for name in others.iter().filter(|name| Some(*name) != keep.as_ref()) {
            if !self.replicas.get(name).is_some_and(drains) {
                self.leave(name);
            }
        }
    }

    /// A replica that drains serves again.
    fn restore(&mut self, name: &ReplicaName) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        replica.message.clear();
        let next_probe = replica.launch.check.is_some().then_some(now);
        replica.phase = Phase::Ready { next_probe, misses: 0 };
        self.due_of(name);
    }

    /// A new replica for a slot that has none of the wanted revision.
    fn create(&mut self, wanted: &Assignment) {
        let name = loop {
            let name = self.rng.replica(&wanted.app);
            if !self.replicas.contains_key(&name) && !self.published.contains_key(&name) {
                break name;
            }
        };
        self.serial += 1;
        let replica = Replica {
            launch: launch(name.clone(), wanted),
            serial: self.serial,
            generation: wanted.generation,
            phase: Phase::Refused,
            began: false,
            pid: None,
            exit: None,
            message: String::new(),
            failures: 0,
            proven: false,
            ready_at: None,
            watched: None,
            warm: false,
            drains: 0,
            announce_at: self.now.mono,
            renewal: Renewal::Idle,
        };
        self.replicas.insert(name.clone(), replica);
        self.relaunch(&name, wanted);
    }

    /// Has the next launch of a replica prepared, if its app has room.
    fn relaunch(&mut self, name: &ReplicaName, wanted: &Assignment) {
        if !self.has_room(&wanted.app) {
            // Refused replicas wait like failed ones do, until another has left.
            if let Some(replica) = self.replicas.get_mut(name) {
                replica.phase = Phase::Backoff { until: self.now.mono };
            }
            return;
        }
        let Some(replica) = self.replicas.get_mut(name) else { return };
        let before = std::mem::replace(&mut replica.launch, launch(name.clone(), wanted));
        let next = &mut replica.launch;
        next.id.attempt = before.id.attempt + 1;
        if before.id.attempt > 0 {
            next.restarts = before.restarts + u32::from(replica.began);
            // The same spore says the same again: no record needs to change for it.
            (next.version, next.provides) = (before.version, before.provides);
        }
        replica.announce_at = self.now.mono + self.timing.announce;
        replica.phase = Phase::Preparing;
        replica.renewal = Renewal::Idle;
        replica.began = false;
        replica.pid = None;
        let id = replica.launch.id.clone();
        self.act(Action::Prepare(id, Box::new(wanted.clone())));
    }

    /// Spawns what is prepared unless a predecessor holds its port, or its turn; that one is sent away.
    fn spawn_when_free(&mut self, name: &ReplicaName, wanted: &Assignment) {
        let holders: Vec<(ReplicaName, u32)> = self
            .of_app(&wanted.app)
            .filter(|other| other.launch.id.replica != *name && other.is_alive() && in_the_way(other, wanted))
            .map(|other| (other.launch.id.replica.clone(), other.launch.slot))
            .collect();
        for (holder, _) in holders.iter().filter(|(_, slot)| *slot == wanted.slot) {
            self.leave(holder);
        }
        if holders.is_empty()
            && let Some(replica) = self.replicas.get_mut(name)
        {
            replica.phase = Phase::Spawning;
            let launch = replica.launch.clone();
            self.act(Action::Spawn(Box::new(launch), Box::new(wanted.clone())));
        }
    }

    /// Sends a replica away, as gently as its phase allows.
    pub(super) fn leave(&mut self, name: &ReplicaName) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        match &mut replica.phase {
            Phase::Ready { .. } => {
                replica.message.clear();
                self.drain(name, Duration::ZERO);
            }
            Phase::Draining(drain) => {
                drain.not_before = drain.not_before.min(now);
                self.due_of(name);
            }
            Phase::Probing { .. } => self.terminate(name, Then::Gone),
            Phase::Preparing | Phase::Spawning => replica.phase = Phase::Abandoned,
            Phase::Terminating { then, .. } => *then = Then::Gone,
            Phase::Prepared => {
                let id = replica.launch.id.clone();
                self.clean(id);
                self.replicas.remove(name);
            }
            Phase::Backoff { .. } | Phase::Missing { .. } | Phase::Refused | Phase::Completed => {
                self.replicas.remove(name);
            }
            Phase::Abandoned => {}
        }
    }

    /// An update may hold one replica more than the app has slots here, leaving ones included, so that a budget is exceeded by at
    /// most one replica a node.
    fn has_room(&self, app: &AppName) -> bool {
        let all = || (app.clone(), 0)..=(app.clone(), u32::MAX);
        let slots = self.wanted.range(all()).count() + self.stays.range(all()).count();
        self.of_app(app).filter(|replica| replica.is_occupied()).count() <= slots
    }

    fn members(&self, slot: &Slot) -> Vec<ReplicaName> {
        let of_slot = self.of_app(&slot.0).filter(|replica| replica.launch.slot == slot.1);
        of_slot.map(|replica| replica.launch.id.replica.clone()).collect()
    }

    fn of_app(&self, app: &AppName) -> impl Iterator<Item = &Replica> {
        self.replicas.values().filter(move |replica| replica.launch.app == *app)
    }
}

/// Whether a replica and its successor can't run beside each other: they share a port, or are turns of a job.
fn in_the_way(other: &Replica, wanted: &Assignment) -> bool {
    let port = wanted.release.port;
    let turn = wanted.release.workload == Workload::Job && other.launch.slot == wanted.slot;
    turn || (port != 0 && other.launch.fixed_port == port)
}

/// The first thing known of a launch: what the plan says.
fn launch(replica: ReplicaName, wanted: &Assignment) -> Launch {
    let release = &wanted.release;
    Launch {
        id: LaunchId { replica, attempt: 0 },
        app: wanted.app.clone(),
        slot: wanted.slot,
        revision: wanted.revision.clone(),
        body: Some(release.body()),
        digest: release.digest,
        version: release.version.clone(),
        workload: release.workload,
        fixed_port: release.port,
        port: 0,
        restarts: 0,
        unconfined: false,
        provides: Vec::new(),
        check: None,
        health_ms: 0,
        grace_ms: u64::try_from(wanted.grace.as_millis()).unwrap_or(u64::MAX),
        settings: Settings::default(),
        nutrients: wanted.each,
    }
}

impl Core {
    /// Begins to drain a replica that serves; it stays at least for `hold`.
    pub(super) fn drain(&mut self, name: &ReplicaName, hold: Duration) {
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        if replica.launch.workload == Workload::Service {
            replica.drains += 1;
            let drain = replica.drains;
            let deadline = now + replica.launch.grace();
            replica.phase = Phase::Draining(Drain { not_before: now + hold, deadline, drained: false });
            let app = replica.launch.app.clone();
            self.drainings.push(Action::Drain(app.clone(), name.clone(), drain));
            self.emit(telemetry::EventKind::DrainStart, &app, Some(name), "finishes its open requests");
        } else {
            // Nobody sends it requests; there is nothing to wait for but the warm-up of its heir.
            let drain = Drain { not_before: now + hold, deadline: now, drained: true };
            replica.phase = Phase::Draining(drain);
        }
        self.due_of(name);
    }
}
