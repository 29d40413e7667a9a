//! The shell: carries out what the core asks for, and tells it what came of it.
//!
//! One task an agent. It wakes when the fabric changes, when the keeper tells of an exit, when something
//! that takes time has come to its end, and at the core's own deadlines; it never polls for any of these.
//! What takes time runs in tasks of `tasks` (or on blocking threads), and reports through `reports`.

mod adoption;
mod keeping;
mod launching;
mod learning;
mod probing;
mod records;
mod renewing;
mod sampling;
mod sizing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use membrane::{Events, Keeper, KeeperError, KeeperEvent, Process, Used};
use telemetry::EventKind;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use types::{AppName, Digest, PublicKey, ReplicaName};

use crate::agent::{Config, Deps, StartError};
use crate::books::Books;
use crate::core::{Action, Core, Input, LaunchId, NotSpawned, Now, World};
use crate::prepare::Prepared;
use crate::sample::Samples;

/// How often the trust store is looked at while a replica waits for its publisher to be trusted.
const TRUST_EVERY: Duration = Duration::from_secs(1);

/// What the handle says.
#[derive(Debug)]
pub(crate) enum Command {
    Stop(oneshot::Sender<()>),
    Detach(oneshot::Sender<()>),
    SporeArrived(Digest),
}

/// What a task has to report.
enum Report {
    Input(Input),
    Prepared(LaunchId, Box<Prepared>),
    /// The process, and which connection to a keeper brought it forth.
    Spawned(LaunchId, Process, u16, u64),
    /// What the replicas use.
    Used(Result<Vec<Used>, KeeperError>),
    /// A row of credits is on disk, or isn't.
    Written(AppName, bool),
}

/// A connection to a keeper, and its number.
#[derive(Clone)]
struct Connection {
    number: u64,
    keeper: Keeper,
}

/// What the shell holds for one launch until it is cleaned.
#[derive(Default)]
struct Held {
    prepared: Option<Box<Prepared>>,
    port: Option<u16>,
    /// The relay of its network.
    relay: Option<u32>,
}

/// What a refusal may be based on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Grounds {
    /// Whose spores may run.
    trusted: Vec<PublicKey>,
    /// The records of the rules that hold.
    policies: Vec<Digest>,
    /// The records of who may vouch for publishers.
    identities: Vec<Digest>,
    /// The records of plans that say something of their apps.
    labelled: Vec<Digest>,
    /// The records of secrets and configs.
    settings: Vec<Digest>,
}

pub(crate) struct Shell {
    config: Arc<Config>,
    deps: Deps,
    core: Core,
    began: Instant,
    changes: fabric::Changes,
    /// The present connection; tasks that lose it wait for the next one.
    keeper: watch::Sender<Connection>,
    keeper_events: Events,
    /// When to look for a keeper again, after it was lost and none could be started.
    keeper_retry: Option<Instant>,
    reports: mpsc::UnboundedReceiver<Report>,
    reporter: mpsc::UnboundedSender<Report>,
    tasks: JoinSet<()>,
    /// So many spores are hashed and extracted at once.
    extracting: Arc<Semaphore>,
    held: BTreeMap<LaunchId, Held>,
    drains: BTreeMap<ReplicaName, AbortHandle>,
    probes: BTreeMap<LaunchId, AbortHandle>,
    /// How many preparations were begun and have not reported.
    preparing: u32,
    /// What a refusal may be based on, as it was when it was last looked at: never later than the refusal.
    grounds: Grounds,
    /// When it is looked at next, if a replica waits for it.
    trust_at: Instant,
    /// What the core was last told; nothing before it was told that nothing is wanted.
    world: Option<World>,
    /// Who hears what replicas use.
    sampled: watch::Sender<Arc<Samples>>,
    /// When it is read next, while there are replicas.
    sample_at: Instant,
    /// Whether it is being read.
    sampling: bool,
    /// The credits of what runs here.
    books: Books,
    learning: learning::Learning,
    sizes: sizing::Sizes,
    /// Who waits for the end.
    stopping: Option<oneshot::Sender<()>>,
}

impl Shell {
    /// Attaches to the keeper, takes over what is there, publishes the node.
    pub(crate) async fn start(config: Config, deps: Deps) -> Result<Self, StartError> {
        let (keeper, processes, keeper_events) = Keeper::attach(deps.keeper.clone()).await?;
        let (reporter, reports) = mpsc::unbounded_channel();
        let began = Instant::now();
        let seed = getrandom::u64().unwrap_or_default();
        let now = Now { mono: Duration::ZERO, wall: (deps.clock)() };
        let core = Core::new(config.node.node_id.clone(), config.timing, seed, now);
        let workers = std::thread::available_parallelism().map_or(2, |cores| cores.get() + 1);
        let mut shell = Self {
            core,
            began,
            changes: deps.fabric.subscribe(),
            keeper: watch::Sender::new(Connection { number: 0, keeper }),
            keeper_events,
            keeper_retry: None,
            reports,
            reporter,
            tasks: JoinSet::new(),
            extracting: Arc::new(Semaphore::new(workers)),
            held: BTreeMap::new(),
            drains: BTreeMap::new(),
            probes: BTreeMap::new(),
            preparing: 0,
            grounds: Grounds::default(),
            trust_at: began,
            world: None,
            sampled: watch::Sender::default(),
            sample_at: began,
            sampling: false,
            books: Books::new(config.timing.credits),
            learning: learning::Learning::default(),
            sizes: sizing::Sizes::new(),
            stopping: None,
            config: Arc::new(config),
            deps,
        };
        let adoption = shell.found(processes).await;
        shell.tidy_run_dir(&adoption)?;
        shell.publish_node()?;
        shell.tell(Input::Adopt(Box::new(adoption))).await;
        Ok(shell)
    }

    /// Who wants to hear what replicas use.
    pub(crate) fn samples_of(&self) -> watch::Receiver<Arc<Samples>> {
        self.sampled.subscribe()
    }

    /// Reconciles until it is told to end.
    pub(crate) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let detached = loop {
            while self.tasks.try_join_next().is_some() {}
            if self.stopping.is_some() && self.core.is_idle() {
                break None;
            }
            let deadline = self.next_deadline();
            let (waits_for_trust, samples) = (self.core.waits_for_trust(), self.samples());
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Stop(done)) => {
                        self.say_all_learned();
                        self.stopping = Some(done);
                        self.tell(Input::Shutdown).await;
                    }
                    Some(Command::Detach(done)) => {
                        self.say_all_learned();
                        break Some(done);
                    }
                    Some(Command::SporeArrived(digest)) => self.tell(Input::SporeArrived(digest)).await,
                    None => break None,
                },
                event = self.keeper_events.next(), if self.keeper_retry.is_none() => match event {
                    Some(KeeperEvent::Exited { id, exit, oom, cut }) => self.exited(&id, exit, oom, cut),
                    Some(KeeperEvent::Lost) | None => self.attach_again().await,
                },
                Some(report) = self.reports.recv() => self.report(report).await,
                _ = self.changes.changed() => self.look().await,
                () = sleep_until(deadline) => self.wake().await,
                () = sleep_until(self.trust_at), if waits_for_trust => self.look_at_trust().await,
                () = sleep_until(self.sample_at), if samples => self.sample(),
            }
        };
        self.close_books();
        if let Some(done) = self.stopping.take() {
            self.drains.values().chain(self.probes.values()).for_each(AbortHandle::abort);
            // What is left is cleaning up.
            while self.tasks.join_next().await.is_some() {}
            self.remove_node();
            let _ = done.send(());
        }
        self.tasks.shutdown().await;
        if let Some(done) = detached {
            let _ = done.send(());
        }
    }

    async fn report(&mut self, report: Report) {
        match report {
            Report::Input(input) => {
                if let Input::Unprepared(id, _) = &input {
                    self.preparing -= 1;
                    self.held.remove(id);
                }
                self.tell(input).await;
            }
            Report::Prepared(id, prepared) => {
                self.preparing -= 1;
                let facts = prepared.facts();
                self.held.entry(id.clone()).or_default().prepared = Some(prepared);
                self.tell(Input::Prepared(id, facts)).await;
            }
            Report::Used(told) => self.sampled(told),
            Report::Written(app, safe) => self.books.settle(&app, safe),
            Report::Spawned(id, process, port, by) if by == self.keeper.borrow().number => {
                self.has_started(&id);
                self.held.entry(id.clone()).or_default().relay = process.relay;
                self.tell(Input::Spawned { id, pid: process.pid, port }).await;
            }
            Report::Spawned(id, ..) => {
                // Its keeper was lost meanwhile, and took it along.
                let why = NotSpawned::Machine("its keeper was lost".to_owned());
                self.tell(Input::NotSpawned(id, why)).await;
            }
        }
    }

    /// Looks at the fabric, and tells the core when what it says has changed for this node.
    async fn look(&mut self) {
        self.deps.witness.begins();
        let decided = self.deps.planner.decided();
        let world = World {
            assignments: decided.decision.of_node(&self.config.node.node_id),
            stays: decided.decision.stays_of(&self.config.node.node_id),
            plans: decided.plan_notes(),
        };
        self.deps.witness.ends();
        if self.core.waits_for_trust() {
            self.look_at_trust().await;
        }
        if self.world.as_ref() != Some(&world) {
            self.world = Some(world.clone());
            self.tell(Input::World(world)).await;
        }
        self.correct_records().await;
        self.forget_learned(&decided.view);
        self.deps.witness.caught_up(decided.view.version);
    }

    async fn wake(&mut self) {
        if self.keeper_retry.is_some_and(|at| at <= Instant::now()) {
            self.attach_again().await;
        }
        self.tell(Input::Tick).await;
    }

    fn next_deadline(&self) -> Instant {
        let core = self.core.deadline().map(|at| self.began + at);
        let never = Instant::now() + Duration::from_secs(3600);
        core.into_iter().chain(self.keeper_retry).min().unwrap_or(never)
    }

    fn now(&self) -> Now {
        Now { mono: self.began.elapsed(), wall: (self.deps.clock)() }
    }

    async fn tell(&mut self, input: Input) {
        let now = self.now();
        self.deps.witness.begins();
        let mut actions = self.core.handle(input, now);
        self.deps.witness.ends();
        // Whoever hears of an endpoint finds its record.
        let of_endpoint = |action: &Action| matches!(action, Action::Emit(said) if said.kind == EventKind::EndpointRegister);
        actions.sort_by_key(of_endpoint);
        for action in actions {
            self.act(action, now).await;
        }
    }

    async fn act(&mut self, action: Action, now: Now) {
        match action {
            Action::Prepare(id, wanted) => self.prepare(id, wanted),
            Action::Spawn(launch, wanted) => self.spawn(*launch, *wanted),
            Action::Renew(launch, wanted) => self.renew(*launch, *wanted),
            Action::Probe(launch, pid, probe) => self.probe(*launch, pid, probe),
            Action::Drain(app, replica, drain) => self.drain(&app, replica, drain),
            Action::Stop(id, grace) => self.stop(&id, grace),
            Action::Kill(id) => self.kill(&id),
            Action::Clean(id) => self.clean(id),
            Action::Register(record) => self.register(*record, now).await,
            Action::Unregister(app, replica) => self.unregister(&app, &replica, now),
            Action::Observe(app, observing) => self.observe(app, observing, now),
            Action::Emit(draft) => self.emit(draft, now),
        }
    }

    /// Has the end of `task` reported as the input it results in.
    fn spawn_task(&mut self, task: impl Future<Output = Input> + Send + 'static) -> AbortHandle {
        let reporter = self.reporter.clone();
        self.tasks.spawn(async move {
            // Nobody listens any more once the agent has ended.
            let _ = reporter.send(Report::Input(task.await));
        })
    }
}
