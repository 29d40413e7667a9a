//! Act: what the reconciler of a node asks for, carried out on its simulated machine.

use std::time::Duration;

use agent::{
    Action, Adopted, Check, Facts, Input, Launch, LaunchId, NotSpawned, Observing, Probe, Unprepared,
};
use cortex::Assignment;
use fabric::net::Liveness;
use fabric::{Kind, RecordName};
use genome::{Exit, Observed};
use rand::RngExt as _;
use types::Workload;

use crate::keeper::Nature;
use crate::mind::Mind;
use crate::records;
use crate::world::{What, World};

/// Changes within this are looked at together.
const TOGETHER: u64 = 3;
/// The port that every replica is given: nobody connects.
const PORT: u16 = 20_000;

impl World {
    /// Starts the planner and the reconciler of a node: it takes over what runs, and says what it has to offer.
    pub(crate) fn start_mind(&mut self, node: usize) {
        let (wall, now) = (self.nodes[node].wall(self.now), self.now);
        let secret = self.nodes[node].secret(self.config().seed);
        let adopted: Vec<Adopted> = self.nodes[node].keeper.held();
        let life = self.nodes[node].life;
        let name = self.nodes[node].name.clone();
        let capacity = self.nodes[node].capacity;
        let Some(running) = &mut self.nodes[node].running else { return };
        let mind = Mind::new(name.clone(), &secret, now, wall);
        let found = mind.found(&running.core.view(&types::Namespace::default()), adopted);
        self.queue.add(now + Liveness::AWAITED, What::Settle { node, life });
        running.mind = Some(mind);
        self.tell(node, Input::Adopt(Box::new(found)));
        self.say(node, Kind::Node, RecordName::of_node(&name), Some(records::node(&name, capacity)));
        self.look_soon(node);
    }

    /// Has a node look at its records in a moment.
    pub(crate) fn look_soon(&mut self, node: usize) {
        if !self.planning {
            return;
        }
        let life = self.nodes[node].life;
        let Some(mind) = self.nodes[node].mind() else { return };
        if !std::mem::replace(&mut mind.looking, true) {
            let wait = Duration::from_millis(self.rng.random_range(0..=TOGETHER));
            self.queue.add(self.now + wait, What::Look { node, life });
        }
    }

    /// A node derives what it is to do, and puts right what its records say of it.
    pub(crate) fn look(&mut self, node: usize) {
        let Some(running) = &mut self.nodes[node].running else { return };
        let Some(mind) = &mut running.mind else { return };
        mind.looking = false;
        let decided = |mind: &Mind, (app, generation): &(types::AppName, u64)| {
            mind.decision.apps.get(app).is_some_and(|decided| decided.generation == *generation)
        };
        let before = self.applying.as_ref().is_some_and(|plan| decided(mind, plan));
        let told = mind.look(&running.core, &mut self.decisions);
        if !before && self.applying.as_ref().is_some_and(|plan| decided(mind, plan)) {
            self.applied = (self.applied.0 + 1, self.now);
        }
        if let Some(world) = told {
            self.tell(node, Input::World(world));
        }
        self.correct(node);
    }

    fn correct(&mut self, node: usize) {
        let Some(running) = &self.nodes[node].running else { return };
        let Some(mind) = &running.mind else { return };
        let view = running.core.view(&types::Namespace::default());
        let endpoints = view.endpoints().map(|one| &**one).filter(|one| one.node_id == mind.name);
        let observed = view.observed.values().map(|one| &**one).filter(|one| one.node_id == mind.name);
        for action in mind.core.corrections(endpoints, observed) {
            self.act(node, action);
        }
    }

    /// Gives one input to a node's reconciler and carries out what it asks for.
    pub(crate) fn tell(&mut self, node: usize, input: Input) {
        let now = agent::Now { mono: self.now, wall: self.nodes[node].wall(self.now) };
        let life = self.nodes[node].life;
        let Some(mind) = self.nodes[node].mind() else { return };
        let actions = mind.core.handle(input, now);
        let deadline = mind.core.deadline();
        if std::mem::replace(&mut mind.tick, deadline) != deadline
            && let Some(at) = deadline
        {
            self.queue.add(at, What::Tick { node, life });
        }
        for action in actions {
            self.trace.add(self.now, node, 6, format!("{action:?}").as_bytes());
            self.act(node, action);
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        match action {
            Action::Prepare(id, wanted) => self.prepare(node, id, &wanted),
            Action::Spawn(launch, _) => self.spawn(node, *launch),
            Action::Renew(launch, wanted) => self.renew(node, *launch, &wanted),
            Action::Probe(launch, _, probe) => self.probe(node, &launch, probe),
            Action::Drain(_, replica, drain) => {
                self.answer(node, 0..50, Input::Drained { replica, drain });
            }
            Action::Stop(id, grace) => {
                let stubborn = self.rng.random_bool(0.1);
                let quick = Duration::from_millis(self.rng.random_range(1..100)).min(grace);
                self.end_soon(node, &id, if stubborn { grace } else { quick }, Exit::Signal(15));
            }
            Action::Kill(id) => self.end_soon(node, &id, Duration::from_millis(1), Exit::Signal(9)),
            Action::Clean(id) => drop(self.nodes[node].keeper.processes.remove(&id)),
            Action::Register(record) => {
                let name = RecordName::of_endpoint(&record.app_name, &record.node_id, &record.replica);
                self.say(node, Kind::Endpoint, name, Some(records::json(&*record)));
            }
            Action::Unregister(app, replica) => {
                let name = RecordName::of_endpoint(&app, &self.nodes[node].name, &replica);
                self.say(node, Kind::Endpoint, name, None);
            }
            Action::Observe(app_name, observing) => {
                let node_id = self.nodes[node].name.clone();
                let name = RecordName::of_observed(&app_name, &node_id);
                let payload = match observing {
                    Observing::Failed(failure) => {
                        Some(records::json(&Observed { node_id, app_name, failed: Some(failure) }))
                    }
                    Observing::Withdrawn => None,
                };
                self.say(node, Kind::Observed, name, payload);
            }
            Action::Emit(_) => {}
        }
    }

    fn answer(&mut self, node: usize, millis: std::ops::Range<u64>, input: Input) {
        let wait = Duration::from_millis(self.rng.random_range(millis));
        self.answer_after(node, wait, input);
    }

    fn answer_after(&mut self, node: usize, wait: Duration, input: Input) {
        let life = self.nodes[node].life;
        self.queue.add(self.now + wait, What::Agent { node, life, input: Box::new(input) });
    }

    fn prepare(&mut self, node: usize, id: LaunchId, wanted: &Assignment) {
        let service = wanted.release.workload == Workload::Service;
        let facts = Facts {
            unconfined: false,
            version: wanted.release.version.clone(),
            provides: if service { vec!["http".into()] } else { Vec::new() },
            check: service.then(|| Check::Http("/health".into())),
            health: Duration::from_secs(6),
            settings: wanted.release.settings.clone(),
        };
        let input = if self.rng.random_bool(0.01) {
            Input::Unprepared(id, Unprepared::Failed("the disk is full".into()))
        } else {
            Input::Prepared(id, facts)
        };
        self.answer(node, 1..20, input);
    }

    fn spawn(&mut self, node: usize, launch: Launch) {
        let id = launch.id.clone();
        if self.rng.random_bool(0.01) {
            let why = NotSpawned::Machine("no".into());
            return self.answer(node, 1..5, Input::NotSpawned(id, why));
        }
        self.check_spawn(node, &launch);
        let nature = self.natures.get(&launch.digest).copied();
        let launch = Launch { port: PORT, ..launch };
        let pid = self.nodes[node].keeper.spawn(launch);
        let life = match nature {
            Some(Nature::Crashes) => Some(5..30),
            Some(Nature::Fragile) => Some(500..5_000),
            _ => None,
        };
        if let Some(life) = life {
            let wait = Duration::from_millis(self.rng.random_range(life));
            self.end_after(node, &id, wait, Exit::Code(1));
        }
        self.answer(node, 1..5, Input::Spawned { id, pid, port: PORT });
    }

    fn renew(&mut self, node: usize, launch: Launch, wanted: &Assignment) {
        let (id, revision) = (launch.id, wanted.revision.clone());
        let settings = wanted.release.settings.clone();
        let process = self.nodes[node].keeper.processes.get_mut(&id).filter(|process| process.exit.is_none());
        let given = match process {
            Some(process) if self.rng.random_bool(0.95) => {
                process.launch.revision.clone_from(&revision);
                process.launch.settings.clone_from(&settings);
                Ok(settings)
            }
            _ => Err(Unprepared::Refused("it handles no signal".into())),
        };
        self.answer(node, 1..20, Input::Renewed(id, revision, given));
    }

    fn probe(&mut self, node: usize, launch: &Launch, probe: Probe) {
        let alive = self.nodes[node].keeper.alive(&launch.id).is_some();
        let nature = self.natures.get(&launch.digest).copied();
        let usual = Duration::from_millis(self.rng.random_range(1..50));
        let (wait, result) = match (probe, nature) {
            (Probe::Live, _) if alive => (Duration::from_millis(1), Ok(())),
            (Probe::Live, _) => (Duration::from_millis(5), Err("gone".into())),
            (Probe::Ready(_), Some(Nature::Slow(millis))) if alive => (Duration::from_millis(millis), Ok(())),
            (Probe::Ready(_), _) if alive => (usual, Ok(())),
            (Probe::Ready(within), _) => (within, Err("not ready".into())),
        };
        self.answer_after(node, wait, Input::Probed(launch.id.clone(), result));
    }

    fn end_soon(&mut self, node: usize, id: &LaunchId, wait: Duration, exit: Exit) {
        match self.nodes[node].keeper.processes.get_mut(id) {
            Some(process) if process.exit.is_none() => {
                process.told = true;
                self.end_after(node, id, wait, exit);
            }
            Some(_) => {}
            // the keeper doesn't know it, and says so
            None => {
                let input =
                    Input::Exited { id: id.clone(), exit: None, cause: None, last_line: String::new() };
                self.answer(node, 1..2, input);
            }
        }
    }

    fn end_after(&mut self, node: usize, id: &LaunchId, wait: Duration, exit: Exit) {
        let machine = self.nodes[node].keeper.machine;
        self.queue.add(self.now + wait, What::End { node, machine, id: id.clone(), exit });
    }

    /// A process ends; its agent hears of it now, or finds out when it starts.
    pub(crate) fn end(&mut self, node: usize, id: LaunchId, exit: Exit) {
        let Some(process) = self.nodes[node].keeper.processes.get_mut(&id) else { return };
        if process.exit.is_none() {
            process.exit = Some(exit);
            self.answer(
                node,
                1..4,
                Input::Exited { id, exit: Some(exit), cause: None, last_line: String::new() },
            );
        }
    }

    /// Writes what a node says of itself, unless that is what it says already, and tells everyone.
    pub(crate) fn say(&mut self, node: usize, kind: Kind, name: RecordName, payload: Option<Vec<u8>>) {
        let wall = self.nodes[node].wall(self.now);
        let Some(running) = &self.nodes[node].running else { return };
        let key = self.nodes[node].number;
        let Some(record) = records::own(&running.core, key, kind, name, payload, wall) else { return };
        self.watch.signed(&record);
        if self.nodes[node].submit(record.clone(), false, self.now) {
            self.input(node, fabric::net::Input::Publish(Box::new(record)));
            self.look_soon(node);
        }
    }
}
