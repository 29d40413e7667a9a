//! The loop: what happens next, to whom, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use agent::{
    Action, Adopted, Adoption, Check, Core, Facts, Input, Launch, LaunchId, NotSpawned, Now, Observing,
    PlanNote, Probe, Timing, Unprepared, World,
};
use cortex::Assignment;
use genome::{Exit, Observed};
use types::{AppName, Digest, NodeName, ReplicaName, Timestamp, Workload};

use super::chance::Chance;
use super::fabric::Fabric;
use super::faults::{END_OF_FAULTS, Fault};
use super::node::{Nature, NodeSim, Process};

/// Longer than the longest backoff and all that may follow it.
const QUIET: Duration = Duration::from_secs(60);

/// Long waits would add nothing but steps in which nothing happens.
fn timing() -> Timing {
    let seconds = Duration::from_secs;
    Timing { stable: seconds(20), backoff_max: seconds(15), probe_every: seconds(7), ..Timing::default() }
}

pub struct Mesh {
    pub chance: Chance,
    pub now: Duration,
    pub fabric: Fabric,
    pub nodes: BTreeMap<NodeName, NodeSim>,
    pub natures: BTreeMap<Digest, Nature>,
    pub missing: BTreeSet<Digest>,
    pub strangers_trusted: bool,
    pub slow_drains: bool,
    pub quiet: bool,
    pub apps: Vec<AppName>,
    pub next_pid: u32,
    /// How many launches were asked for.
    pub launches: usize,
    /// Since when two nodes serve one slot.
    pub doubled: BTreeMap<(AppName, u32), Duration>,
    /// Since when a record says ready and no process is there.
    pub ghosts: BTreeMap<ReplicaName, Duration>,
    queue: BTreeMap<(Duration, u64), Event>,
    count: u64,
    told: bool,
    traced: bool,
    hash: DefaultHasher,
}

pub enum Event {
    /// For the agent of this incarnation.
    Input(NodeName, u64, Box<Input>),
    /// The agent looks at the fabric.
    Look(NodeName, u64),
    /// A process ends by itself or because it was told to.
    End(NodeName, LaunchId, Exit),
    Fault(Fault),
}

impl Mesh {
    pub fn new(seed: u64, told: bool, traced: bool) -> Self {
        let mut chance = Chance::new(seed);
        let nodes = 1 + chance.below(4);
        let names: BTreeSet<NodeName> =
            (1..=nodes).map(|number| NodeName::new(&format!("node-{number}")).unwrap()).collect();
        let apps = ["api", "web"].map(|name| AppName::new(name).unwrap()).to_vec();
        let mut mesh = Self {
            chance,
            now: Duration::ZERO,
            fabric: Fabric::new(&names),
            nodes: names.iter().map(|name| (name.clone(), NodeSim::new(name.clone()))).collect(),
            natures: BTreeMap::new(),
            missing: BTreeSet::new(),
            strangers_trusted: false,
            slow_drains: false,
            quiet: false,
            apps,
            next_pid: 100,
            launches: 0,
            doubled: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            queue: BTreeMap::new(),
            count: 0,
            told,
            traced,
            hash: DefaultHasher::new(),
        };
        for name in &names {
            mesh.start_agent(name);
        }
        mesh
    }

    pub fn fingerprint(&self) -> u64 {
        self.hash.finish()
    }

    /// The whole story: what goes wrong, then quiet, and all must have come right.
    pub fn run(&mut self) -> Result<(), String> {
        self.plan_faults();
        self.run_until(END_OF_FAULTS + QUIET)?;
        self.check_end()
    }

    pub fn run_until(&mut self, end: Duration) -> Result<(), String> {
        while let Some((&(at, count), _)) = self.queue.first_key_value() {
            if at > end {
                break;
            }
            self.now = at;
            let Some(event) = self.queue.remove(&(at, count)) else { break };
            self.happen(event)?;
            self.check_doubles()?;
            self.check_ghosts()?;
        }
        self.now = end;
        Ok(())
    }

    pub fn later(&mut self, delay: Duration, event: Event) {
        self.count += 1;
        self.queue.insert((self.now + delay, self.count), event);
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        if self.told {
            let line = line();
            println!("{:>10.3} {line}", self.now.as_secs_f64());
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Input(node, incarnation, input) if self.nodes[&node].incarnation == incarnation => {
                if let Input::Drained { replica, drain } = &*input
                    && let Some((last, _, answered)) = self.node(&node).drains.get_mut(replica)
                {
                    *answered |= last == drain;
                }
                let input = self.as_it_arrives(&node, *input);
                self.input(&node, input)?;
            }
            Event::Look(node, incarnation) if self.nodes[&node].incarnation == incarnation => {
                let world = self.world_of(&node);
                if self.nodes[&node].world.as_ref() != Some(&world) {
                    self.node(&node).learn(world.clone());
                    self.input(&node, Input::World(world))?;
                }
            }
            Event::End(node, id, exit) => self.end(&node, &id, exit),
            Event::Fault(fault) => self.fault(fault)?,
            Event::Input(..) | Event::Look(..) => {}
        }
        Ok(())
    }

    /// What was spawned by a keeper that is gone by now was not spawned.
    fn as_it_arrives(&self, node: &NodeName, input: Input) -> Input {
        match input {
            Input::Spawned { id, .. } if !self.nodes[node].processes.contains_key(&id) => {
                Input::NotSpawned(id, NotSpawned::Machine("the keeper is gone".into()))
            }
            other => other,
        }
    }

    pub fn node(&mut self, name: &NodeName) -> &mut NodeSim {
        self.nodes.get_mut(name).unwrap()
    }

    fn world_of(&mut self, node: &NodeName) -> World {
        let decision = self.fabric.decision();
        let plans = self.fabric.plans.iter().map(|(app, (generation, _))| {
            let fallback = decision.apps[app].fallback.clone();
            let waiting = decision.apps[app].before.as_ref().map(|(_, revision)| revision.clone());
            (app.clone(), PlanNote { generation: *generation, summary: String::new(), waiting, fallback })
        });
        World { assignments: decision.of_node(node), stays: decision.stays_of(node), plans: plans.collect() }
    }

    /// Every agent that lives looks soon, each at its own time.
    pub fn stir(&mut self) {
        self.fabric.changed();
        let living: Vec<(NodeName, u64)> = self
            .nodes
            .values()
            .filter(|node| node.core.is_some())
            .map(|node| (node.name.clone(), node.incarnation))
            .collect();
        for (node, incarnation) in living {
            let delay = self.chance.millis(0, 3);
            self.later(delay, Event::Look(node, incarnation));
        }
    }

    /// Gives one input to the core of a node, carries out what it asks for, checks what it did.
    pub fn input(&mut self, name: &NodeName, input: Input) -> Result<(), String> {
        let now = Now { mono: self.now, wall: Timestamp::from_secs(1_000_000) + self.now };
        if self.traced {
            format!("{} {name} {input:?}", self.now.as_nanos()).hash(&mut self.hash);
        }
        if !matches!(input, Input::Tick | Input::World(_)) {
            self.tell(|| format!("{name} < {input:?}"));
        }
        let before = self.served(name);
        let node = self.node(name);
        let Some(core) = node.core.as_mut() else { return Ok(()) };
        let actions = core.handle(input, now);
        let (deadline, incarnation) = (core.deadline(), node.incarnation);
        if deadline != node.tick {
            node.tick = deadline;
            if let Some(at) = deadline {
                if at <= self.now {
                    return Err(format!("{name} asks to be woken in the past"));
                }
                self.later(at - self.now, Event::Input(name.clone(), incarnation, Box::new(Input::Tick)));
            }
        }
        for action in actions {
            if self.traced {
                format!("{action:?}").hash(&mut self.hash);
            }
            self.act(name, action)?;
        }
        self.check_served(name, &before)
    }

    fn act(&mut self, name: &NodeName, action: Action) -> Result<(), String> {
        if !matches!(action, Action::Probe(_, _, Probe::Live) | Action::Emit(_) | Action::Register(_)) {
            self.tell(|| format!("{name} > {}", short(&action)));
        }
        match action {
            Action::Prepare(id, wanted) => self.prepare(name, id, &wanted),
            Action::Spawn(launch, _) => self.spawn(name, *launch)?,
            Action::Renew(launch, wanted) => self.renew(name, &launch.id, &wanted),
            Action::Probe(launch, _, probe) => self.probe(name, &launch, probe),
            Action::Drain(_, replica, drain) => {
                let now = self.now;
                self.node(name).drains.insert(replica.clone(), (drain, now, false));
                let delay =
                    if self.slow_drains { self.chance.millis(0, 20_000) } else { self.chance.millis(0, 50) };
                self.reply(name, delay, Input::Drained { replica, drain });
            }
            Action::Stop(id, grace) => {
                self.check_drained(name, &id)?;
                let stubborn = self.chance.one_in(10);
                let delay = if stubborn { grace } else { self.chance.millis(1, 100).min(grace) };
                self.told_to_end(name, &id, delay, Exit::Signal(15));
            }
            Action::Kill(id) => self.told_to_end(name, &id, Duration::from_millis(1), Exit::Signal(9)),
            Action::Clean(id) => self.clean(name, &id)?,
            Action::Register(record) => {
                record.validate().map_err(|error| error.to_string())?;
                self.tell(|| {
                    format!(
                        "{name} = {} {} slot {} {}",
                        record.replica, record.state, record.slot, record.message
                    )
                });
                let key = (record.app_name.clone(), name.clone(), record.replica.clone());
                self.fabric.endpoints.insert(key, *record);
                self.stir();
            }
            Action::Unregister(app, replica) => {
                self.fabric.endpoints.remove(&(app, name.clone(), replica));
                self.stir();
            }
            Action::Observe(app, observing) => {
                let key = (app.clone(), name.clone());
                match observing {
                    Observing::Failed(failure) => {
                        let seen = Observed { node_id: name.clone(), app_name: app, failed: Some(failure) };
                        self.fabric.observed.insert(key, seen);
                    }
                    Observing::Withdrawn => drop(self.fabric.observed.remove(&key)),
                }
                self.stir();
            }
            Action::Emit(_) => {}
        }
        Ok(())
    }

    pub fn reply(&mut self, name: &NodeName, delay: Duration, input: Input) {
        let incarnation = self.nodes[name].incarnation;
        self.later(delay, Event::Input(name.clone(), incarnation, Box::new(input)));
    }

    fn nature(&self, digest: &Digest) -> Nature {
        self.natures.get(digest).copied().unwrap_or(Nature::Good)
    }

    fn prepare(&mut self, name: &NodeName, id: LaunchId, wanted: &Assignment) {
        self.launches += 1;
        let slots = self.nodes[name].slots_of(&wanted.app);
        self.node(name).slots_since.insert(id.clone(), (wanted.app.clone(), slots));
        let digest = wanted.release.digest;
        let delay = self.chance.millis(1, 20);
        let why = if self.missing.contains(&digest) {
            Some(Unprepared::Missing("missing".into()))
        } else if self.nature(&digest) == Nature::Foreign && !self.strangers_trusted {
            Some(Unprepared::Refused("a stranger".into()))
        } else if !self.quiet && self.chance.one_in(100) {
            Some(Unprepared::Failed("the disk is full".into()))
        } else {
            None
        };
        let service = wanted.release.workload == Workload::Service;
        let facts = Facts {
            unconfined: false,
            version: wanted.release.version.clone(),
            provides: if service { vec!["http".into()] } else { Vec::new() },
            check: service.then(|| Check::Http("/health".into())),
            health: Duration::from_secs(6),
            settings: wanted.release.settings.clone(),
        };
        let input = match why {
            Some(why) => Input::Unprepared(id, why),
            None => {
                self.node(name).folders.insert(id.clone());
                Input::Prepared(id, facts)
            }
        };
        self.reply(name, delay, input);
    }

    fn spawn(&mut self, name: &NodeName, launch: Launch) -> Result<(), String> {
        self.check_room(name, &launch)?;
        let id = launch.id.clone();
        let delay = self.chance.millis(1, 5);
        if !self.quiet && self.chance.one_in(100) {
            self.reply(name, delay, Input::NotSpawned(id, NotSpawned::Machine("no".into())));
            return Ok(());
        }
        self.node(name).spawning.insert(id.clone(), launch);
        let pid = self.begin(name, &id);
        self.reply(name, delay, Input::Spawned { id, pid, port: 20_000 });
        Ok(())
    }

    fn renew(&mut self, name: &NodeName, id: &LaunchId, wanted: &Assignment) {
        let (delay, able) = (self.chance.millis(1, 30), self.quiet || !self.chance.one_in(10));
        let settings = wanted.release.settings.clone();
        let process = self.node(name).processes.get_mut(id).filter(|process| process.exit.is_none() && able);
        let given = match process {
            Some(process) => {
                process.launch.revision.clone_from(&wanted.revision);
                process.launch.settings.clone_from(&settings);
                Ok(settings)
            }
            None => Err(Unprepared::Refused("it handles no signal".into())),
        };
        self.reply(name, delay, Input::Renewed(id.clone(), wanted.revision.clone(), given));
    }

    /// The keeper starts what it was asked for; what the release is like decides how it ends.
    pub fn begin(&mut self, name: &NodeName, id: &LaunchId) -> u32 {
        self.next_pid += 1;
        let pid = self.next_pid;
        let Some(launch) = self.node(name).spawning.remove(id) else { return pid };
        let (nature, job) = (self.nature(&launch.digest), launch.workload == Workload::Job);
        let process = Process { launch, pid, exit: None, sick: false, told: false };
        self.node(name).processes.insert(id.clone(), process);
        let end = match nature {
            Nature::Crashes => Some((self.chance.millis(5, 30), Exit::Code(1))),
            Nature::Fragile => Some((self.chance.millis(500, 5_000), Exit::Code(1))),
            _ if job => Some((self.chance.millis(10, 3_000), Exit::Code(0))),
            _ => None,
        };
        if let Some((delay, exit)) = end {
            self.later(delay, Event::End(name.clone(), id.clone(), exit));
        }
        pid
    }

    fn probe(&mut self, name: &NodeName, launch: &Launch, probe: Probe) {
        let nature = self.nature(&launch.digest);
        let alive = self.nodes[name].processes.get(&launch.id).filter(|process| process.exit.is_none());
        let well = alive.is_some_and(|process| !process.sick);
        let (delay, result) = match probe {
            Probe::Live if well => (self.chance.millis(1, 3), Ok(())),
            Probe::Live => (self.chance.millis(1, 2_000), Err("sick".into())),
            Probe::Ready(within) => {
                let takes = match nature {
                    Nature::NeverReady => Duration::MAX,
                    Nature::Slow(millis) => Duration::from_millis(millis),
                    _ => self.chance.millis(1, 50),
                };
                let ready = alive.is_some() && takes < within;
                if ready { (takes, Ok(())) } else { (within, Err("not ready".into())) }
            }
        };
        self.reply(name, delay, Input::Probed(launch.id.clone(), result));
    }

    fn told_to_end(&mut self, name: &NodeName, id: &LaunchId, delay: Duration, exit: Exit) {
        match self.node(name).processes.get_mut(id) {
            Some(process) if process.exit.is_none() => {
                process.told = true;
                self.later(delay, Event::End(name.clone(), id.clone(), exit));
            }
            Some(_) => {}
            // The keeper doesn't know it, and says so.
            None => {
                let input =
                    Input::Exited { id: id.clone(), exit: None, cause: None, last_line: String::new() };
                self.reply(name, Duration::from_millis(1), input);
            }
        }
    }

    /// A process ends; its agent hears of it, now or when it next asks the keeper.
    pub fn end(&mut self, name: &NodeName, id: &LaunchId, exit: Exit) {
        let node = self.node(name);
        let Some(process) = node.processes.get_mut(id).filter(|process| process.exit.is_none()) else {
            return;
        };
        process.exit = Some(exit);
        if node.core.is_some() {
            let input =
                Input::Exited { id: id.clone(), exit: Some(exit), cause: None, last_line: String::new() };
            let delay = self.chance.millis(1, 4);
            self.reply(name, delay, input);
        }
        self.tell(|| format!("{name} ! {id:?} {exit}"));
    }

    fn clean(&mut self, name: &NodeName, id: &LaunchId) -> Result<(), String> {
        let node = self.node(name);
        node.folders.remove(id);
        node.slots_since.remove(id);
        node.drains.remove(&id.replica);
        match node.processes.remove(id) {
            Some(process) if process.exit.is_none() && !process.told => {
                Err(format!("{name} forgets {id:?}, which runs"))
            }
            Some(mut process) if process.exit.is_none() => {
                // Killed a moment ago: its end is on the way.
                process.exit = Some(Exit::Signal(9));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    pub fn start_agent(&mut self, name: &NodeName) {
        let (now, seed) = (self.now, self.chance.next());
        let endpoints =
            self.fabric.endpoints.values().filter(|record| record.node_id == *name).cloned().collect();
        let observed = self.fabric.observed.values().filter(|seen| seen.node_id == *name).cloned().collect();
        let node = self.node(name);
        let held = |process: &Process| Adopted {
            launch: Launch { port: 20_000, ..process.launch.clone() },
            pid: process.pid,
            exit: process.exit,
            cause: None,
            last_line: String::new(),
        };
        let adoption =
            Adoption { processes: node.processes.values().map(held).collect(), endpoints, observed };
        if node.core.is_none() {
            let wall = Timestamp::from_secs(1_000_000) + now;
            node.core = Some(Core::new(name.clone(), timing(), seed, Now { mono: now, wall }));
            node.incarnation += 1;
            node.tick = None;
            node.world = None;
            node.drains.clear();
            // Folders that no process is left of are removed by the agent that starts.
            node.folders = node.processes.keys().cloned().collect();
        }
        let incarnation = node.incarnation;
        self.later(
            Duration::ZERO,
            Event::Input(name.clone(), incarnation, Box::new(Input::Adopt(Box::new(adoption)))),
        );
        self.later(Duration::from_millis(1), Event::Look(name.clone(), incarnation));
    }
}

fn short(action: &Action) -> String {
    match action {
        Action::Prepare(id, wanted) => format!("Prepare {id:?} {}", wanted.release.version),
        Action::Spawn(launch, _) => format!("Spawn {:?} slot {}", launch.id, launch.slot),
        Action::Renew(launch, wanted) => format!("Renew {:?} {}", launch.id, wanted.revision),
        Action::Probe(launch, _, probe) => format!("Probe {:?} {probe:?}", launch.id),
        other => format!("{other:?}"),
    }
}
