//! The start: state, records, keeper, nodes, edge, API, in the order in which they need each other.
//!
//! Nothing is served before what ran already is known again, so that a successor never answers
//! "no such app" for one that its predecessor ran.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::{AgentHandle, Planner};
use edge::Edge;
use fabric::{Authority, Fabric};
use genome::ReplicaState;
use membrane::{Keeper, KeeperConfig, LogLimits};
use repo::Repo;
use scent::{Kind, Scent};
use soul::TrustStore;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use types::NodeName;

use super::App;
use super::agents::{Shared as Deps, start_agents};
use super::doors::{Doors, default_workers, reachable};
use super::outside::Outside;
use super::papers;
use crate::api::EdgeStatus;
use crate::clock::SystemClock;
use crate::config::{Config, StartError};
use crate::demand::{Demands, Seen};
use crate::events::EventLog;
use crate::journal::RedbJournal;
use crate::lock::{Held, StateLock};
use crate::network::Network;
use crate::nodes::Nodes;
use crate::presence::Presence;
use crate::quarantine::{Quarantine, Watchdog};
use crate::routes::Routing;
use crate::server::{self, ApiSocket, ApiState, Shared};
use crate::sight::{self, Sight};
use crate::traffic::EdgeTraffic;
use crate::tunnel::Ways;
use crate::usage::Readings;
use crate::{admin, clock, counters, identity, otlp, settle, sockets, takeover, tls};

/// How long a replica that runs already may take to answer its first probe before the edge opens without it.
const KNOWN_AGAIN: Duration = Duration::from_millis(250);

/// Long-lived tasks by name.
type Tasks = JoinSet<&'static str>;

impl App {
    /// Starts the mesh that `config` describes; returns once it serves.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut state = State::open(&config).await?;
        let keeper_config = KeeperConfig {
            dir: config.paths.keeper(),
            program: config.program.clone(),
            log_limits: LogLimits::default(),
        };
        let (keeper, before, _) = Keeper::attach(keeper_config.clone()).await?;
        state.fresh = before.is_empty();
        let started = Self::start_with(config, state, keeper.clone(), keeper_config).await;
        if started.is_err() && before.is_empty() {
            // It was started for nothing; where it holds replicas, they outlive this failure.
            let _ = keeper.shutdown().await;
        }
        started
    }

    async fn start_with(
        config: Config,
        state: State,
        keeper: Keeper,
        keeper_config: KeeperConfig,
    ) -> Result<Self, StartError> {
        let (edge, scent, mut tasks) = make_edge(&config, &state.nodes)?;
        let doors = Doors::open(&config, &keeper).await?;
        let admin = open_admin(&keeper, config.admin).await?;
        let outside = config.member.clone().map(|member| Outside::new(member, &state));
        let routing = state.routing(&edge, outside.as_ref());
        let starting = state.quarantine.handler("the start");
        let demands = state.demands(&edge);
        let sight = open_eyes(&state, &keeper, &mut tasks).await;
        let deps = state.deps(keeper_config, traffic(&edge, &routing, outside.as_ref()), sight.clone());
        let network = Outside::start(outside.as_ref(), &config, &state, &keeper, &mut tasks).await?;
        let addresses = network.as_ref().map(Network::announced).unwrap_or_default();
        let agents = start_agents(&config, deps, &state.nodes, (&for_workloads(&doors), addresses)).await?;
        tokio::join!(known_again(&state.fabric), heard_again(network.as_ref(), state.fresh));
        routing.catch_up();
        starting.done();
        let (ending, endings) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            version: config.version.clone(),
            warmup_ms: u64::try_from(config.warmup.as_millis()).unwrap_or(u64::MAX),
            started_at: SystemClock.now(),
            edge_status: edge_status(&config, &doors.addresses(), doors.local_address(true)),
            keeper_pid: Some(keeper.pid()),
            paths: config.paths.clone(),
            fabric: state.fabric.clone(),
            planner: state.planner,
            edge: edge.clone(),
            routing,
            events: state.events.clone(),
            admin: admin.as_ref().map(|(url, _)| url.clone()),
            repo: state.repo,
            arrivals: agents.iter().map(|(_, agent)| agent.arrivals()).collect(),
            trust: state.trust,
            clock: SystemClock,
            ending,
            presence: state.presence,
            quarantine: state.quarantine,
            sight,
            seen: demands.seen.clone(),
            readings: readings(&agents),
            scent,
            network,
        });
        doors.serve(&edge)?;
        outside.into_iter().for_each(|outside| outside.serve(&shared, &mut tasks));
        let socket = spawn_tasks(&shared, demands, admin.map(|(_, listener)| listener), &mut tasks)?;
        tell(&shared, &state.nodes, state.fresh, &mut tasks);
        let app = Self {
            agents,
            edge,
            fabric: state.fabric,
            keeper,
            events: state.events,
            shared,
            tasks,
            endings,
            _socket: socket,
            lock: Some(state.lock),
            keep_workloads: config.keep_workloads,
            _watchdog: state.watchdog,
            predecessor: state.predecessor,
        };
        app.say(&format!("mesh {} started, edge at {}", config.version, app.edge_url()));
        Ok(app)
    }

    pub(super) fn say(&self, message: &str) {
        self.events.record(crate::events::of_mesh(message.to_owned()));
    }
}

/// What lies on disk, opened.
pub(super) struct State {
    lock: StateLock,
    predecessor: Option<takeover::Predecessor>,
    pub(super) nodes: Nodes,
    pub(super) fabric: Fabric,
    planner: Arc<Planner>,
    pub(super) events: EventLog,
    pub(super) repo: Repo,
    trust: Arc<TrustStore>,
    pub(super) presence: Presence,
    /// Nothing runs here yet: whatever is started can wait until it is known what is to run.
    pub(super) fresh: bool,
    pub(super) quarantine: Quarantine,
    watchdog: Watchdog,
}

impl State {
    /// What turns records into routes of the edge.
    fn routing(&self, edge: &Edge, outside: Option<&Outside>) -> Arc<Routing> {
        let ways = outside.map_or_else(Ways::alone, |outside| outside.ways(&self.presence));
        let routing = Routing::new(self.fabric.clone(), edge.clone(), ways);
        Arc::new(routing.with_handler(self.quarantine.handler("the routes")))
    }

    /// What the agents work with.
    fn deps(&self, keeper: KeeperConfig, traffic: EdgeTraffic, sight: Sight) -> Deps {
        Deps {
            fabric: self.fabric.clone(),
            planner: self.planner.clone(),
            keeper,
            repo: self.repo.clone(),
            trust: self.trust.clone(),
            traffic,
            events: self.events.clone(),
            quarantine: self.quarantine.clone(),
            sight,
        }
    }

    /// What this process asks for of apps.
    fn demands(&self, edge: &Edge) -> Demands {
        let first = self.nodes.present.first_key_value();
        let (node, key) = first.expect("a mesh runs at least one node here");
        Demands {
            fabric: self.fabric.clone(),
            planner: self.planner.clone(),
            edge: edge.clone(),
            presence: self.presence.clone(),
            node: node.clone(),
            signer: key.clone(),
            seen: Seen::default(),
        }
    }

    async fn open(config: &Config) -> Result<Self, StartError> {
        config.paths.claim()?;
        let (lock, predecessor) = take_state(config).await?;
        let mesh = identity::load(&config.paths)?;
        let keys = config.paths.node_keys();
        let nodes = match &config.member {
            Some(member) => Nodes::load_one(&keys, &member.name)?,
            None => Nodes::load(&keys, config.nodes)?,
        };
        let events = in_state(&config.paths.events(), EventLog::open)?;
        let quarantine = open_quarantine(config, &events)?;
        let fabric = open_fabric(config, &mesh, &nodes, &quarantine)?;
        let own = nodes.present.keys().cloned().collect();
        let presence = Presence::new(own, config.member.is_some());
        let working = presence.clone();
        let alive = move |node: &NodeName| working.takes_work(node);
        let planner = Planner::new(fabric.clone(), alive);
        #[cfg(debug_assertions)]
        let planner = planner.with_rehearsal(crate::quarantine::rehearsal::act_out);
        let planner = Arc::new(planner);
        let watchdog = Watchdog::start(&quarantine, config.patience)
            .map_err(|source| StartError::State { path: config.paths.quarantine(), source })?;
        let repo = Repo::open(config.repo.clone().unwrap_or_else(|| config.paths.repo()))?;
        let trust = Arc::new(TrustStore::open(&config.paths.trust())?);
        Ok(Self {
            lock,
            predecessor,
            nodes,
            fabric,
            planner,
            events,
            repo,
            trust,
            presence,
            fresh: false,
            quarantine,
            watchdog,
        })
    }
}

/// The lock on the state, taken over from a predecessor if that was asked for.
async fn take_state(config: &Config) -> Result<(StateLock, Option<takeover::Predecessor>), StartError> {
    let path = config.paths.lock();
    let io = |source| StartError::State { path: path.clone(), source };
    match StateLock::take(&path) {
        Ok(lock) => Ok((lock, None)),
        Err(Held::Io(source)) => Err(io(source)),
        Err(Held::By(_)) if config.takeover => {
            // What can't serve must not take over: the predecessor would start anew with the same files.
            edge_tls(config)?;
            let predecessor = takeover::ask(&config.paths.socket()).await?;
            match StateLock::take(&path) {
                Ok(lock) => Ok((lock, Some(predecessor))),
                Err(Held::Io(source)) => Err(io(source)),
                Err(Held::By(pid)) => Err(StartError::Running { state: config.paths.state.clone(), pid }),
            }
        }
        Err(Held::By(pid)) => Err(StartError::Running { state: config.paths.state.clone(), pid }),
    }
}

fn in_state<T>(path: &Path, open: impl FnOnce(&Path) -> std::io::Result<T>) -> Result<T, StartError> {
    open(path).map_err(|source| StartError::State { path: path.to_owned(), source })
}

/// What this node ended over, with what it ended over just now.
fn open_quarantine(config: &Config, events: &EventLog) -> Result<Quarantine, StartError> {
    let open = |path: &Path| Quarantine::open(path, SystemClock.now());
    let (quarantine, new) = in_state(&config.paths.quarantine(), open)?;
    for one in new {
        let said = format!("{} ({}) is in quarantine: {}", one.what, one.id.short(), one.reason);
        tracing::error!("{said}");
        events.record(crate::events::of_mesh(said));
    }
    Ok(quarantine)
}

fn open_fabric(
    config: &Config,
    mesh: &identity::MeshFile,
    nodes: &Nodes,
    quarantine: &Quarantine,
) -> Result<Fabric, StartError> {
    let authority = match config.member {
        Some(_) => Authority { roots: Some(papers::roots(config)?), ..Authority::default() },
        None => nodes.authority(mesh),
    };
    let (journal, stored) = in_state(&config.paths.journal(), RedbJournal::open)?;
    let set_up = fabric::Config { mesh: mesh.mesh, authority, journal: Some(Box::new(journal)) };
    let (fabric, dropped) = Fabric::new(set_up, quarantine.sift(stored), SystemClock.now())?;
    quarantine.watch_over(&fabric, SystemClock.now());
    for refused in dropped {
        tracing::warn!(%refused, "a stored record does not hold any more");
    }
    Ok(fabric)
}

fn edge_status(config: &Config, addresses: &[SocketAddr], outside: SocketAddr) -> EdgeStatus {
    let scheme = if config.tls == crate::Tls::Off { "http" } else { "https" };
    EdgeStatus {
        url: format!("{scheme}://{outside}"),
        addresses: addresses.iter().map(|address| format!("{scheme}://{address}")).collect(),
    }
}

/// The edge, who tells a collector of its requests, and the tasks that do.
fn make_edge(config: &Config, nodes: &Nodes) -> Result<(Edge, Option<Scent>, Tasks), StartError> {
    let (scent, telling) = otlp::start(config, nodes)?;
    let edge = Edge::new(edge::Config {
        workers: config.edge_workers.unwrap_or_else(default_workers),
        tls: edge_tls(config)?,
        tracing: otlp::tracing(scent.as_ref()),
        ..edge::Config::default()
    });
    Ok((edge, scent, telling.into_iter().collect()))
}

/// The edge's URL, as workloads here are told it.
fn for_workloads(doors: &Doors) -> String {
    format!("http://{}", doors.local_address(false))
}

fn edge_tls(config: &Config) -> Result<Option<Arc<rustls::ServerConfig>>, StartError> {
    Ok(tls::server_config(&config.tls, &config.paths.config.join("tls"))?)
}

async fn open_admin(
    keeper: &Keeper,
    wanted: Option<SocketAddr>,
) -> Result<Option<(String, TcpListener)>, StartError> {
    let listener = sockets::open_admin(keeper, wanted).await?;
    let (Some(address), Some(listener)) = (wanted, listener) else { return Ok(None) };
    let refused = |source| StartError::Admin { address, source };
    let at = reachable(listener.local_addr().map_err(refused)?);
    let listener = TcpListener::from_std(listener).map_err(refused)?;
    Ok(Some((format!("http://{at}/metrics"), listener)))
}

/// A replica whose readiness the last mesh could not write down any more is probed anew. It answers within
/// milliseconds, so that is waited for: nobody is told "not ready" about one that was all the time.
async fn known_again(fabric: &Fabric) {
    let mut changes = fabric.subscribe();
    let settled = async {
        while fabric.view().endpoints().any(|replica| replica.state == ReplicaState::Launching) {
            changes.changed().await;
        }
    };
    // One that takes longer is not ready, and may be said to be.
    let _ = tokio::time::timeout(KNOWN_AGAIN, settled).await;
}

/// Nobody is told that an app has no replica while one on another node is ready. A fresh start has waited for them before.
async fn heard_again(network: Option<&Network>, fresh: bool) {
    if let Some(network) = network.filter(|_| !fresh) {
        network.heard_again().await;
    }
}

/// The eyes on what replicas do, where the kernel gives them.
async fn open_eyes(state: &State, keeper: &Keeper, tasks: &mut JoinSet<&'static str>) -> Sight {
    let (sight, eyes) = sight::open(state.events.clone());
    let (fabric, presence) = (state.fabric.clone(), state.presence.clone());
    match eyes {
        Ok(eyes) => {
            let finding = sight::find(fabric, presence, sight.clone());
            tasks.spawn(async move {
                tokio::join!(eyes.look(), finding);
                "sight"
            });
        }
        Err(glances) => drop(tasks.spawn(async move {
            glances.look(fabric, presence).await;
            "sight"
        })),
    }
    if let Some(groups) = keeper.groups() {
        sight.below(groups.to_owned()).await;
    }
    sight
}

/// What the agents read of their replicas' use.
fn readings(agents: &[(NodeName, AgentHandle)]) -> Readings {
    Readings::of(agents.iter().map(|(node, agent)| (node.clone(), agent.samples())).collect())
}

/// What knows of open requests.
fn traffic(edge: &Edge, routing: &Arc<Routing>, outside: Option<&Outside>) -> EdgeTraffic {
    EdgeTraffic { edge: edge.clone(), routing: Arc::clone(routing), tunnels: outside.map(Outside::tunnels) }
}

/// The tasks by which apps scale.
fn scale(demands: Demands, tasks: &mut JoinSet<&'static str>) {
    let (readings, fabric, presence) =
        (demands.seen.readings.clone(), demands.fabric.clone(), demands.presence.clone());
    tasks.spawn(async move {
        readings.follow(&fabric, &presence).await;
        "metrics of replicas"
    });
    tasks.spawn(async move {
        demands.follow().await;
        "demand"
    });
}

/// The tasks that tell a collector, where there is one; those of what goes over the edge run already.
fn tell(shared: &Arc<Shared>, nodes: &Nodes, fresh: bool, tasks: &mut JoinSet<&'static str>) {
    let Some(scent) = &shared.scent else { return };
    let exposing = shared.clone();
    let exposed = move || {
        let shared = exposing.clone();
        async move { shared.exposed().await }
    };
    if let Some(task) = scent.expose(exposed) {
        tasks.spawn(task);
    }
    if scent.tells(Kind::Logs) {
        let (scent, events) = (scent.clone(), shared.events.clone());
        let (fabric, logs) = (shared.fabric.clone(), shared.paths.logs());
        let nodes = nodes.present.keys().cloned().collect();
        tasks.spawn(async move {
            let lines = otlp::follow_lines(&scent, &fabric, (&logs, &nodes), fresh);
            tokio::join!(otlp::follow_events(&scent, &events), lines);
            "logs for OTLP"
        });
    }
}

/// The tasks that run as long as the mesh does.
fn spawn_tasks(
    shared: &Arc<Shared>,
    demands: Demands,
    admin: Option<TcpListener>,
    tasks: &mut JoinSet<&'static str>,
) -> Result<ApiSocket, StartError> {
    let path = shared.paths.socket();
    let (socket, listener) = ApiSocket::bind(&path).map_err(|source| StartError::State { path, source })?;
    let api = server::router(ApiState { shared: shared.clone() });
    tasks.spawn(async move {
        let _ = axum::serve(listener, api).await;
        "local API"
    });
    if let Some(listener) = admin {
        let router = admin::router(shared.clone());
        tasks.spawn(async move {
            let _ = axum::serve(listener, router).await;
            "admin address"
        });
    }
    scale(demands, tasks);
    let pulse = shared.quarantine.pulse("the runtime");
    tasks.spawn(async move {
        clock::beat(&pulse).await;
        "pulse"
    });
    let fabric = shared.fabric.clone();
    tasks.spawn(async move {
        settle::follow(&fabric).await;
        "journal"
    });
    let state = shared.clone();
    tasks.spawn(async move {
        state.routing.follow().await;
        "routes"
    });
    let edge = shared.edge.clone();
    tasks.spawn(async move {
        counters::log(edge).await;
        "counters"
    });
    let fabric = shared.fabric.clone();
    tasks.spawn(async move {
        clock::tick(&fabric).await;
        "clock"
    });
    Ok(socket)
}
