//! What happens to a replica, and which phase follows from it.

use std::time::Duration;

use genome::Exit;
use telemetry::EventKind;
use types::{ReplicaName, Workload};

use super::Core;
use super::message::{Action, Facts, LaunchId, NotSpawned, Probe, Unprepared};
use super::replica::{Blame, Phase, Replica, Then};

impl Core {
    pub(super) fn prepared(&mut self, id: &LaunchId, facts: Facts) {
        let Some(replica) = self.current(id) else { return self.clean(id.clone()) };
        match replica.phase {
            Phase::Preparing => {
                replica.launch.version = facts.version;
                replica.launch.unconfined = facts.unconfined;
                replica.launch.provides = facts.provides;
                replica.launch.check = facts.check;
                replica.launch.health_ms = u64::try_from(facts.health.as_millis()).unwrap_or(u64::MAX);
                replica.launch.settings = facts.settings;
                replica.phase = Phase::Prepared;
            }
            Phase::Abandoned => {
                self.clean(id.clone());
                self.replicas.remove(&id.replica);
            }
            _ => {}
        }
    }

    pub(super) fn unprepared(&mut self, id: &LaunchId, why: Unprepared) {
        let (now, missing) = (self.now.mono, self.timing.missing);
        let Some(replica) = self.current(id) else { return };
        let app = replica.launch.app.clone();
        match (&replica.phase, why) {
            (Phase::Abandoned, _) => {
                self.replicas.remove(&id.replica);
            }
            (Phase::Preparing, Unprepared::Refused(reason)) => {
                replica.phase = Phase::Refused;
                replica.message.clone_from(&reason);
                self.emit(EventKind::SporeRefused, &app, Some(&id.replica), reason);
            }
            (Phase::Preparing, Unprepared::Missing(reason)) => {
                replica.phase = Phase::Missing { until: now + missing };
                replica.message = reason;
            }
            (Phase::Preparing, Unprepared::Failed(reason)) => self.fail(&id.replica, Blame::Machine, reason),
            _ => {}
        }
    }

    pub(super) fn spawned(&mut self, id: &LaunchId, pid: u32, port: u16) {
        let now = self.now.mono;
        let settle = self.timing.settle;
        let Some(replica) = self.current(id).filter(|replica| replica.is_alive()) else {
            // Nobody waits for it: its end was taken note of first, or it is a stranger.
            self.act(Action::Kill(id.clone()));
            return;
        };
        replica.pid = Some(pid);
        replica.began = true;
        replica.launch.port = port;
        let (app, abandoned) = (replica.launch.app.clone(), replica.phase == Phase::Abandoned);
        if abandoned {
            return self.terminate(&id.replica, Then::Gone);
        }
        let launch = Box::new(replica.launch.clone());
        let service = launch.workload == Workload::Service;
        replica.phase = Phase::Probing { settled: (!service).then_some(now + settle) };
        let at = if port == 0 { String::new() } else { format!(" on port {port}") };
        self.emit(
            EventKind::LaunchStart,
            &app,
            Some(&id.replica),
            format!(
                "pid {pid}{at}, {}{}",
                launch.version,
                if launch.unconfined { ", UNCONFINED" } else { "" }
            ),
        );
        for (name, version) in &launch.settings.secrets {
            let message = format!("version {version} of the secret {name}, as /run/secrets/{name}");
            self.emit(EventKind::SecretDelivered, &app, Some(&id.replica), message);
        }
        match launch.workload {
            Workload::Service => {
                let within = Duration::from_millis(launch.health_ms);
                self.act(Action::Probe(launch, pid, Probe::Ready(within)));
            }
            Workload::Worker => {}
            Workload::Job => self.ready(&id.replica),
        }
    }

    pub(super) fn not_spawned(&mut self, id: &LaunchId, why: NotSpawned) {
        let Some(replica) = self.current(id) else { return };
        match replica.phase {
            Phase::Abandoned => {
                self.clean(id.clone());
                self.replicas.remove(&id.replica);
            }
            Phase::Spawning => {
                self.clean(id.clone());
                match why {
                    NotSpawned::Program(reason) => self.fail(&id.replica, Blame::Death, reason),
                    NotSpawned::Machine(reason) => self.fail(&id.replica, Blame::Machine, reason),
                }
            }
            _ => {}
        }
    }

    pub(super) fn probed(&mut self, id: &LaunchId, result: Result<(), String>) {
        let timing = self.timing;
        let next = self.now.mono + timing.next_probe(&mut self.rng);
        let Some(replica) = self.current(id) else { return };
        let app = replica.launch.app.clone();
        match (&mut replica.phase, result) {
            (Phase::Probing { settled: None }, Ok(())) => {
                self.emit(EventKind::HealthOk, &app, Some(&id.replica), "ready");
                self.ready(&id.replica);
            }
            (Phase::Probing { settled: None }, Err(reason)) => {
                self.emit(EventKind::HealthFail, &app, Some(&id.replica), reason.clone());
                self.end(&id.replica, Blame::Slow, reason);
            }
            (Phase::Ready { next_probe, misses }, Ok(())) => (*next_probe, *misses) = (Some(next), 0),
            (Phase::Ready { next_probe, misses }, Err(reason)) => {
                (*next_probe, *misses) = (Some(next), *misses + 1);
                let misses = *misses;
                if misses >= timing.probe_misses {
                    let reason = format!("failed {misses} health checks in a row: {reason}");
                    self.emit(EventKind::HealthFail, &app, Some(&id.replica), reason.clone());
                    self.end(&id.replica, Blame::Death, reason);
                }
            }
            _ => {}
        }
    }

    pub(super) fn drained(&mut self, name: &ReplicaName, drain: u32) {
        if let Some(replica) = self.replicas.get_mut(name)
            && replica.drains == drain
            && let Phase::Draining(state) = &mut replica.phase
        {
            state.drained = true;
        }
    }

    pub(super) fn exited(
        &mut self,
        id: &LaunchId,
        exit: Option<Exit>,
        cause: Option<String>,
        last_line: &str,
    ) {
        self.clean(id.clone());
        let Some(replica) = self.current(id).filter(|replica| replica.is_alive()) else { return };
        let (app, name) = (replica.launch.app.clone(), id.replica.clone());
        let how = cause.or_else(|| exit.map(|exit| exit.to_string()));
        let how = how.unwrap_or_else(|| "its exit status is lost".to_owned());
        let asked = matches!(
            replica.phase,
            Phase::Draining(_) | Phase::Abandoned | Phase::Terminating { then: Then::Gone, .. }
        );
        // Its last words explain a failure; the end that was asked for needs none.
        let explained = asked || last_line.is_empty() || exit.is_some_and(Exit::is_success);
        let reason = if explained { how } else { format!("{how}: {last_line}") };
        replica.exit = exit;
        replica.pid = None;
        let phase = replica.phase.clone();
        let job = replica.launch.workload == Workload::Job;
        self.emit(EventKind::ProcessExit, &app, Some(&name), reason.clone());
        match phase {
            // A short job may have ended before it was known to run.
            Phase::Ready { .. } | Phase::Spawning if job && exit.is_some_and(Exit::is_success) => {
                if let Some(replica) = self.replicas.get_mut(&name) {
                    replica.phase = Phase::Completed;
                    replica.message.clear();
                }
            }
            Phase::Draining(_) | Phase::Abandoned | Phase::Terminating { then: Then::Gone, .. } => {
                self.replicas.remove(&name);
                self.emit(EventKind::ReplicaStopped, &app, Some(&name), reason);
            }
            Phase::Terminating { then: Then::Failed { blame, reason }, .. } => {
                self.fail(&name, blame, reason)
            }
            _ => self.fail(&name, Blame::Death, reason),
        }
    }

    /// A replica serves from now on.
    pub(super) fn ready(&mut self, name: &ReplicaName) {
        let next = self.now.mono + self.timing.next_probe(&mut self.rng);
        let now = self.now.mono;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        replica.message.clear();
        replica.exit = None;
        replica.ready_at = Some(now);
        replica.warm = false;
        let next_probe = replica.launch.check.is_some().then_some(next);
        replica.phase = Phase::Ready { next_probe, misses: 0 };
        let (app, slot) = (replica.launch.app.clone(), replica.launch.slot);
        if replica.launch.workload == Workload::Service {
            let message = format!("{} takes requests", replica.launch.url());
            self.emit(EventKind::EndpointRegister, &app, Some(name), message);
        }
        self.withdraw_of(&app, slot);
    }

    /// A process is told to go and given its grace.
    pub(super) fn terminate(&mut self, name: &ReplicaName, then: Then) {
        let now = self.now.mono;
        let insist = self.timing.insist;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        let (id, grace) = (replica.launch.id.clone(), replica.launch.grace());
        replica.phase = Phase::Terminating { then, insist_at: now + grace + insist };
        self.act(Action::Stop(id, grace));
    }

    /// A process that doesn't do its work is ended at once: it has had its time.
    fn end(&mut self, name: &ReplicaName, blame: Blame, reason: String) {
        let insist_at = self.now.mono + self.timing.insist;
        let Some(replica) = self.replicas.get_mut(name) else { return };
        let id = replica.launch.id.clone();
        replica.message.clone_from(&reason);
        replica.phase = Phase::Terminating { then: Then::Failed { blame, reason }, insist_at };
        self.act(Action::Kill(id));
    }

    /// A launch has failed and has no process any more; the next one follows after a while.
    fn fail(&mut self, name: &ReplicaName, blame: Blame, reason: String) {
        let (now, timing) = (self.now.mono, self.timing);
        let Some(replica) = self.replicas.get_mut(name) else { return };
        let warmup =
            self.wanted.get(&(replica.launch.app.clone(), replica.launch.slot)).map(|slot| slot.warmup);
        let served = replica.ready_at.take().map(|since| now.saturating_sub(since));
        if served.is_some_and(|served| served >= timing.stable) {
            replica.failures = 0;
        }
        replica.proven |=
            served.zip(warmup).is_some_and(|(served, warmup)| served >= warmup.max(timing.prove));
        replica.failures = replica.failures.saturating_add(1);
        replica.pid = None;
        replica.message.clone_from(&reason);
        let wait = timing.backoff(replica.failures, &mut self.rng);
        replica.phase = Phase::Backoff { until: now + wait };
        let speaks = match blame {
            Blame::Machine => false,
            Blame::Death => replica.failures >= 2,
            Blame::Slow => true,
        };
        if speaks && !replica.proven {
            self.report(name, reason);
        }
    }

    /// Does what time has made due.
    pub(super) fn due(&mut self) {
        let now = self.now.mono;
        let due: Vec<ReplicaName> =
            self.deadlines().filter(|(_, at)| *at <= now).map(|(name, _)| name.clone()).collect();
        for name in due {
            self.due_of(&name);
        }
    }

    /// Does what time has made due for one replica.
    pub(super) fn due_of(&mut self, name: &ReplicaName) {
        let (now, insist) = (self.now.mono, self.timing.insist);
        let Some(replica) = self.replicas.get_mut(name) else { return };
        self.dirty.insert(replica.launch.app.clone());
        if replica.warm_at().is_some_and(|at| at <= now) {
            replica.warm = true;
        }
        match &mut replica.phase {
            Phase::Probing { settled: Some(at) } if *at <= now => self.ready(name),
            Phase::Ready { next_probe, .. } if next_probe.is_some_and(|at| at <= now) => {
                *next_probe = None;
                let (launch, pid) = (Box::new(replica.launch.clone()), replica.pid.unwrap_or(0));
                self.act(Action::Probe(launch, pid, Probe::Live));
            }
            Phase::Draining(drain) if drain.ends_at() <= now => self.terminate(name, Then::Gone),
            Phase::Terminating { insist_at, .. } if *insist_at <= now => {
                *insist_at = now + insist;
                let id = replica.launch.id.clone();
                self.act(Action::Kill(id));
            }
            _ => {}
        }
    }

    /// The replica whose present launch this is, its app marked to be looked at.
    pub(super) fn current(&mut self, id: &LaunchId) -> Option<&mut Replica> {
        let replica = self.replicas.get_mut(&id.replica).filter(|replica| replica.launch.id == *id)?;
        self.dirty.insert(replica.launch.app.clone());
        Some(replica)
    }
}
