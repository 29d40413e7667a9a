//! World: the nodes, the links between them, and time.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::LaunchId;
use fabric::net::{Class, Event, Input, Output, PeerId};
use fabric::{Absence, Authority, Record};
use genome::Exit;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use types::{AppName, Digest, Namespace};

use crate::checked::Checked;
use crate::keeper::Nature;
use crate::keys;
use crate::links::{Links, Weather};
use crate::mind::Decisions;
use crate::node::{Node, Running};
use crate::queue::Queue;
use crate::trace::Trace;
use crate::watch::{Broken, Watch};
use crate::work::Doubles;

/// A broken link is noticed by who sends over it after this.
const NOTICED: Duration = Duration::from_secs(5);
/// What is not waited for is synced so often.
const SYNC: Duration = Duration::from_millis(200);
/// So many datagrams wait for a process that doesn't run; the system drops the rest.
const WAITING: usize = 200;

/// What a world is made of.
#[derive(Debug, Clone, Copy)]
pub struct WorldConfig {
    /// How many nodes the mesh admits.
    pub nodes: usize,
    /// From which everything derives.
    pub seed: u64,
    /// How links are.
    pub weather: Weather,
    /// Whether every step is checked; slow with many nodes.
    pub watched: bool,
    /// Whether nodes plan and run replicas, or only tell each other of records.
    pub working: bool,
}

pub(crate) enum What {
    Deliver {
        from: usize,
        to: usize,
        class: Class,
        bytes: Vec<u8>,
    },
    Timer {
        node: usize,
        life: u64,
    },
    Broken {
        node: usize,
        life: u64,
        peer: PeerId,
    },
    Sync,
    Resume(usize),
    /// A machine has something to tell its reconciler.
    Agent {
        node: usize,
        life: u64,
        input: Box<agent::Input>,
    },
    /// A reconciler wants to be woken.
    Tick {
        node: usize,
        life: u64,
    },
    /// A node looks at its records.
    Look {
        node: usize,
        life: u64,
    },
    /// A node that started has had its time to meet the others.
    Settle {
        node: usize,
        life: u64,
    },
    /// A process ends, if it does so on this machine still.
    End {
        node: usize,
        machine: u64,
        id: LaunchId,
        exit: Exit,
    },
}

/// A simulated mesh.
pub struct World {
    config: WorldConfig,
    /// Who may write; deriving ten thousand keys takes longer than a node's whole life.
    authority: Authority,
    pub(crate) now: Duration,
    pub(crate) queue: Queue<What>,
    pub(crate) nodes: Vec<Node>,
    numbers: BTreeMap<PeerId, usize>,
    pub(crate) links: Links,
    pub(crate) rng: StdRng,
    pub(crate) trace: Trace,
    pub(crate) watch: Watch,
    pub(crate) doubles: Doubles,
    /// Bytes sent by all nodes, by class.
    pub(crate) sent: BTreeMap<Class, (u64, u64)>,
    /// What nodes were told of members other than that they came, since this was emptied: when, who, what.
    pub(crate) events: Vec<(Duration, usize, Event)>,
    pub(crate) offences: Vec<(usize, PeerId, String)>,
    /// What nodes said of their own absences.
    pub(crate) absences: Vec<(usize, Absence)>,
    /// What releases are like; the others are good.
    pub(crate) natures: BTreeMap<Digest, Nature>,
    checked: Checked,
    pub(crate) decisions: Decisions,
    /// Whether nodes look at their records.
    pub(crate) planning: bool,
    /// For measuring: the plan that is watched for, how many nodes decided upon it, and when the last did.
    pub(crate) applying: Option<(AppName, u64)>,
    pub(crate) applied: (usize, Duration),
    /// For measuring: when each node stored the record that is watched for.
    pub(crate) stored: BTreeMap<Digest, BTreeMap<usize, Duration>>,
}

impl World {
    /// A mesh whose nodes are all off.
    #[must_use]
    pub fn new(config: WorldConfig) -> Self {
        let nodes: Vec<Node> = (0..config.nodes).map(Node::new).collect();
        let numbers = nodes.iter().map(|node| (node.id, node.number)).collect();
        let mut queue = Queue::new();
        queue.add(SYNC, What::Sync);
        Self {
            authority: keys::authority(&nodes),
            config,
            now: Duration::ZERO,
            queue,
            numbers,
            links: Links::new(config.nodes, config.weather),
            rng: StdRng::seed_from_u64(config.seed),
            trace: Trace::new(),
            watch: Watch::new(config.nodes),
            doubles: Doubles::default(),
            sent: BTreeMap::new(),
            events: Vec::new(),
            offences: Vec::new(),
            absences: Vec::new(),
            natures: BTreeMap::new(),
            applying: None,
            applied: (0, Duration::ZERO),
            checked: Checked::default(),
            decisions: Decisions::new(!config.watched),
            planning: true,
            stored: BTreeMap::new(),
            nodes,
        }
    }

    /// Starts a node and has it meet these, and whomever it knows from its disk.
    pub fn start(&mut self, node: usize, seeds: &[usize]) {
        let mut seeds: Vec<PeerId> = seeds.iter().map(|seed| self.nodes[*seed].id).collect();
        self.nodes[node].start(self.authority.clone(), self.config.seed, self.now);
        self.watch.restarted(node);
        if let Some(running) = &self.nodes[node].running {
            let known = running.core.view(&Namespace::default()).nodes;
            let keys = known.keys().filter_map(|name| self.authority.nodes.get(name));
            seeds.extend(keys.map(|key| PeerId::from(*key)));
        }
        self.step(node, Input::Join(seeds));
        if self.config.working {
            self.start_mind(node);
        }
    }

    /// Has a machine lose its power: what it ran is gone, and what it hadn't synced, at least in part.
    pub fn crash(&mut self, node: usize) {
        self.kill(node);
        self.nodes[node].keeper.die();
    }

    /// Kills a node's process; its keeper goes on, and what wasn't synced may be lost all the same.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].running = None;
        self.nodes[node].disk.crash(&mut self.rng);
    }

    /// Stops a node's process for a while (SIGSTOP).
    pub fn pause(&mut self, node: usize, time: Duration) {
        self.nodes[node].paused = true;
        self.queue.add(self.now + time, What::Resume(node));
    }

    /// Submits an operator's or a node's record at `node`, as its local API does: synced, then told to everyone.
    pub fn publish(&mut self, node: usize, record: &Record) -> bool {
        self.watch.signed(record);
        if self.nodes[node].paused || !self.nodes[node].submit(record.clone(), true, self.now) {
            return false;
        }
        self.watch.acknowledged(record);
        self.note_stored(node, record.id());
        self.step(node, Input::Publish(Box::new(record.clone())));
        self.look_soon(node);
        true
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) -> Result<(), Broken> {
        let until = self.now + time;
        while let Some((at, what)) = self.queue.pop(until) {
            self.now = at;
            self.happen(what);
            if let Some(broken) = self.watch.broken.take() {
                return Err(broken);
            }
        }
        self.now = until;
        Ok(())
    }

    pub(crate) const fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// What happened so far, as one number.
    #[must_use]
    pub const fn trace(&self) -> u64 {
        self.trace.sum()
    }

    pub(crate) fn running(&self) -> impl Iterator<Item = (usize, &Running)> {
        self.nodes.iter().filter_map(|node| node.running.as_ref().map(|running| (node.number, running)))
    }

    pub(crate) fn number_of(&self, peer: PeerId) -> Option<usize> {
        self.numbers.get(&peer).copied()
    }

    /// Hands a node a message, as if `from` had sent it.
    pub(crate) fn inject(&mut self, from: usize, to: usize, class: Class, bytes: Vec<u8>) {
        self.queue.add(self.now, What::Deliver { from, to, class, bytes });
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Deliver { from, to, class, bytes } => self.deliver(from, to, class, bytes),
            What::Timer { node, life } => {
                let is_due = |running: &Running| running.wish.is_some_and(|wish| wish <= self.now);
                let target = &self.nodes[node];
                if target.life == life && !target.paused && target.running.as_ref().is_some_and(is_due) {
                    self.step(node, Input::Timer);
                }
            }
            What::Broken { node, life, peer } => {
                if self.nodes[node].life == life && !self.nodes[node].paused {
                    self.step(node, Input::Unreachable(peer));
                }
            }
            What::Sync => {
                self.nodes.iter_mut().filter(|node| node.running.is_some()).for_each(|node| node.disk.sync());
                self.watch_work();
                self.queue.add(self.now + SYNC, What::Sync);
            }
            What::Resume(node) => self.resume(node),
            What::End { node, machine, id, exit } => {
                if self.nodes[node].keeper.machine == machine {
                    self.end(node, id, exit);
                }
            }
            What::Agent { node, life, .. }
            | What::Tick { node, life }
            | What::Look { node, life }
            | What::Settle { node, life } => {
                if self.nodes[node].life == life && self.nodes[node].running.is_some() {
                    self.mind(node, what);
                }
            }
        }
    }

    /// Something comes to the planner or the reconciler of a node, now or when its process runs again.
    fn mind(&mut self, node: usize, what: What) {
        if self.nodes[node].paused {
            return self.nodes[node].late.push(what);
        }
        match what {
            What::Agent { input, .. } => self.tell(node, *input),
            What::Tick { .. } => {
                let now = self.now;
                let due = |mind: &mut crate::mind::Mind| mind.tick.is_some_and(|at| at <= now);
                if self.nodes[node].mind().is_some_and(due) {
                    self.tell(node, agent::Input::Tick);
                }
            }
            What::Settle { .. } => {
                if let Some(mind) = self.nodes[node].mind() {
                    mind.settle();
                }
                self.look(node);
            }
            _ => self.look(node),
        }
    }

    /// A stopped process runs again: it meets its late timers and its full sockets in any order.
    fn resume(&mut self, node: usize) {
        if !std::mem::take(&mut self.nodes[node].paused) {
            return;
        }
        let timer_first = self.rng.random_bool(0.5);
        if timer_first {
            self.step(node, Input::Timer);
        }
        for (from, class, bytes) in std::mem::take(&mut self.nodes[node].waiting) {
            self.deliver(from, node, class, bytes);
        }
        for what in std::mem::take(&mut self.nodes[node].late) {
            self.mind(node, what);
        }
        if !timer_first {
            self.step(node, Input::Timer);
        }
    }

    fn deliver(&mut self, from: usize, to: usize, class: Class, bytes: Vec<u8>) {
        if !self.links.is_open(from, to) || self.nodes[to].running.is_none() {
            if class == Class::Reliable {
                let (life, peer) = (self.nodes[from].life, self.nodes[to].id);
                self.queue.add(self.now + NOTICED, What::Broken { node: from, life, peer });
            }
            return;
        }
        let target = &mut self.nodes[to];
        if target.paused {
            if class == Class::Reliable || target.waiting.len() < WAITING {
                target.waiting.push_back((from, class, bytes));
            }
            return;
        }
        let from = self.nodes[from].id;
        self.step(to, Input::Received { from, class, bytes });
    }

    fn step(&mut self, node: usize, input: Input) {
        let (kind, bytes): (u8, &[u8]) = match &input {
            Input::Received { bytes, .. } => (0, bytes),
            Input::Timer => (1, &[]),
            Input::Join(_) => (2, &[]),
            Input::Publish(_) => (3, &[]),
            _ => (4, &[]),
        };
        self.trace.add(self.now, node, kind, bytes);
        if kind == 1
            && let Some(running) = &mut self.nodes[node].running
        {
            running.wish = None;
        }
        let outputs = self.nodes[node].step(input, self.now, &mut self.checked);
        for output in outputs {
            self.carry_out(node, output);
        }
    }

    pub(crate) fn input(&mut self, node: usize, input: Input) {
        self.step(node, input);
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send { to, class, bytes } => self.send(node, to, class, bytes),
            Output::Timer(at) => {
                let life = self.nodes[node].life;
                if let Some(running) = &mut self.nodes[node].running {
                    running.wish = Some(at);
                }
                self.queue.add(at.max(self.now), What::Timer { node, life });
            }
            Output::Member(event) => {
                if self.nodes[node].mind().is_some_and(|mind| mind.note(&event)) {
                    self.look_soon(node);
                }
                // ten thousand nodes that meet each other would be a hundred million
                if !matches!(event, Event::Up(_)) {
                    self.events.push((self.now, node, event));
                }
            }
            Output::Stored(receipt) => {
                self.note_stored(node, receipt.id);
                self.look_soon(node);
                if self.config.watched
                    && let Some(running) = &self.nodes[node].running
                {
                    self.watch.stored(node, &receipt, &running.core);
                }
            }
            Output::Misbehaviour { peer, why } => self.offences.push((node, peer, why.to_string())),
            Output::Absence(absence) => self.absences.push((node, absence)),
            Output::Learn { .. } => {}
        }
    }

    fn note_stored(&mut self, node: usize, id: Digest) {
        if let Some(times) = self.stored.get_mut(&id) {
            times.entry(node).or_insert(self.now);
        }
    }

    fn send(&mut self, from: usize, to: PeerId, class: Class, bytes: Vec<u8>) {
        let sum = self.sent.entry(class).or_default();
        *sum = (sum.0 + 1, sum.1 + bytes.len() as u64);
        if self.config.watched {
            self.watch.sent(from, class, &bytes);
        }
        let Some(to) = self.number_of(to) else { return };
        let mut times = self.links.carry(from, to, class, self.now, &mut self.rng);
        let last = times.pop();
        for at in times {
            self.queue.add(at, What::Deliver { from, to, class, bytes: bytes.clone() });
        }
        if let Some(at) = last {
            self.queue.add(at, What::Deliver { from, to, class, bytes });
        }
    }
}
