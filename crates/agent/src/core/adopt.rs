//! What was there before this agent: processes it takes over, ends it takes note of, records it corrects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use genome::{Endpoint, ReplicaState, Settings};
use types::{Nutrients, ReplicaName, Workload};

use super::Core;
use super::message::{Action, Adopted, Adoption, Launch, LaunchId, Probe};
use super::observe::Reported;
use super::replica::{Phase, Renewal, Replica};

impl Core {
    /// Takes over what runs as it is, without restarting anything. Also called when the keeper was lost:
    /// then what this core thought to run and is not among the processes has ended.
    pub(super) fn adopt(&mut self, adoption: Adoption) {
        self.dirty.extend(adoption.endpoints.iter().map(|record| record.app_name.clone()));
        self.published =
            adoption.endpoints.into_iter().map(|record| (record.replica.clone(), record)).collect();
        for observed in adoption.observed {
            if let Some(failed) = observed.failed {
                let report = Reported { revision: failed.revision, slot: None, generation: None };
                self.reported.insert(observed.app_name, report);
            }
        }
        self.miss(&adoption.processes);
        let mut last: BTreeMap<ReplicaName, u32> = BTreeMap::new();
        for process in &adoption.processes {
            let attempt = last.entry(process.launch.id.replica.clone()).or_default();
            *attempt = process.launch.id.attempt.max(*attempt);
        }
        for process in adoption.processes {
            if last.get(&process.launch.id.replica) == Some(&process.launch.id.attempt) {
                self.take(process);
            } else {
                self.act(Action::Kill(process.launch.id.clone()));
                self.clean(process.launch.id);
            }
        }
        self.remember_jobs();
    }

    /// What this core thinks to run and nobody holds has ended.
    fn miss(&mut self, processes: &[Adopted]) {
        let held: BTreeSet<&LaunchId> = processes.iter().map(|process| &process.launch.id).collect();
        let lost: Vec<LaunchId> = self
            .replicas
            .values()
            .filter(|replica| replica.is_alive() && replica.pid.is_some())
            .map(|replica| replica.launch.id.clone())
            .filter(|id| !held.contains(id))
            .collect();
        for id in lost {
            self.exited(&id, None, None, "");
        }
    }

    fn take(&mut self, process: Adopted) {
        let id = process.launch.id.clone();
        self.dirty.insert(process.launch.app.clone());
        if self.replicas.get(&id.replica).is_none_or(|replica| replica.launch.id != id) {
            self.insert(process.launch, process.pid);
        }
        if process.exit.is_some() {
            self.exited(&id, process.exit, process.cause, &process.last_line);
        }
    }

    /// A process that runs goes on from the state its record was in.
    fn insert(&mut self, launch: Launch, pid: u32) {
        let now = self.now.mono;
        let name = launch.id.replica.clone();
        let known = self.published.get(&name).map(|record| record.state);
        let warm = self.published.get(&name).is_some_and(|record| record.warm);
        let served = matches!(known, Some(ReplicaState::Ready | ReplicaState::Draining));
        let ready = served || launch.workload == Workload::Job;
        let next_probe = launch.check.is_some().then_some(now);
        let phase = match (ready, launch.workload) {
            (true, _) => Phase::Ready { next_probe, misses: 0 },
            (false, Workload::Service) => Phase::Probing { settled: None },
            (false, _) => Phase::Probing { settled: Some(now + self.timing.settle) },
        };
        self.serial += 1;
        let replica = Replica {
            serial: self.serial,
            generation: 0,
            phase,
            began: true,
            pid: Some(pid),
            exit: None,
            message: String::new(),
            failures: 0,
            proven: ready,
            ready_at: ready.then_some(now),
            watched: None,
            warm: warm && ready,
            drains: 0,
            announce_at: now,
            renewal: Renewal::Idle,
            launch,
        };
        self.replicas.insert(name.clone(), replica);
        if known == Some(ReplicaState::Draining) {
            self.drain(&name, Duration::ZERO);
        } else if !ready
            && let Some(replica) = self.replicas.get(&name)
            && replica.launch.workload == Workload::Service
        {
            let launch = Box::new(replica.launch.clone());
            let within = Duration::from_millis(launch.health_ms);
            self.act(Action::Probe(launch, pid, Probe::Ready(within)));
        }
    }

    /// A job that is done has no process any more; its record says that it is.
    fn remember_jobs(&mut self) {
        let done: Vec<Endpoint> = self
            .published
            .values()
            .filter(|record| {
                record.state == ReplicaState::Completed && !self.replicas.contains_key(&record.replica)
            })
            .cloned()
            .collect();
        for record in done {
            self.serial += 1;
            let replica = Replica::completed(&record, self.serial, self.now.mono);
            self.replicas.insert(record.replica, replica);
        }
    }
}

impl Replica {
    fn completed(record: &Endpoint, serial: u64, now: Duration) -> Self {
        Self {
            launch: Launch {
                id: LaunchId { replica: record.replica.clone(), attempt: 1 },
                app: record.app_name.clone(),
                slot: record.slot,
                revision: record.revision.clone(),
                body: None,
                digest: record.digest,
                version: record.version.clone(),
                workload: Workload::Job,
                fixed_port: 0,
                port: 0,
                restarts: record.restarts,
                unconfined: false,
                provides: record.provides.clone(),
                check: None,
                health_ms: 0,
                grace_ms: 0,
                settings: Settings::default(),
                nutrients: Nutrients::default(),
            },
            serial,
            generation: 0,
            phase: Phase::Completed,
            began: true,
            pid: None,
            exit: record.exit,
            message: record.message.clone(),
            failures: 0,
            proven: true,
            ready_at: None,
            watched: None,
            warm: false,
            drains: 0,
            announce_at: now,
            renewal: Renewal::Idle,
        }
    }
}
