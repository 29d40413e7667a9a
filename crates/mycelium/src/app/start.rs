//! The start: state, records, keeper, nodes, edge, API, in the order in which they need each other.
//!
//! Nothing is served before what ran already is known again, so that a successor never answers
//! "no such app" for one that its predecessor ran.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::Planner;
use edge::{Edge, Listen};
use fabric::Fabric;
use genome::ReplicaState;
use membrane::{Keeper, KeeperConfig, LogLimits};
use repo::Repo;
use soul::TrustStore;
use telemetry::{Event, EventKind};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use types::NodeName;

use super::App;
use super::agents::{Shared as Deps, start_agents};
use crate::api::EdgeStatus;
use crate::clock::SystemClock;
use crate::config::{Config, StartError};
use crate::events::EventLog;
use crate::journal::RedbJournal;
use crate::lock::{Held, StateLock};
use crate::nodes::Nodes;
use crate::server::{self, ApiSocket, ApiState, Shared};
use crate::traffic::EdgeTraffic;
use crate::{admin, clock, counters, identity, paths, routes, settle, sockets, takeover, tls};

/// How long a replica that runs already may take to answer its first probe before the edge opens without it.
const KNOWN_AGAIN: Duration = Duration::from_millis(250);

impl App {
    /// Starts the mesh that `config` describes; returns once it serves.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let clock = SystemClock;
        let state = &config.paths.state;
        paths::private_dir(state).map_err(|source| StartError::State { path: state.clone(), source })?;
        let (lock, predecessor) = take_state(&config).await?;
        let mesh = identity::load(&config.paths)?;
        let nodes = Nodes::load(&config.paths.node_keys(), config.nodes)?;
        let fabric = open_fabric(&config, &mesh, &nodes)?;
        let events = in_state(&config.paths.events(), EventLog::open)?;
        let repo = Repo::open(config.repo.clone().unwrap_or_else(|| config.paths.repo()))?;
        let trust = Arc::new(TrustStore::open(&config.paths.trust())?);
        let keeper_config = KeeperConfig {
            dir: config.paths.keeper(),
            program: config.program.clone(),
            log_limits: LogLimits::default(),
        };
        let (keeper, _, _) = Keeper::attach(keeper_config.clone()).await?;
        let running: BTreeSet<NodeName> = nodes.present.keys().cloned().collect();
        let planner = Arc::new(Planner::new(fabric.clone(), move |node| running.contains(node)));

        let edge = make_edge(&config, &nodes)?;
        let doors = Doors::open(&config, &keeper).await?;
        let (addresses, inside) = (doors.addresses(), doors.local_address(false));
        let deps = Deps {
            fabric: fabric.clone(),
            planner: planner.clone(),
            keeper: keeper_config,
            repo: repo.clone(),
            trust: trust.clone(),
            traffic: EdgeTraffic(edge.clone()),
            events: events.clone(),
        };
        let agents = start_agents(&config, deps, &nodes, &format!("http://{inside}")).await?;
        known_again(&fabric).await;
        edge.routes().set(&routes::table(&fabric.view()));
        let outside = doors.local_address(true);
        doors.serve(&edge)?;

        let admin = bind_admin(config.admin).await?;
        let (ending, endings) = mpsc::channel(1);
        let shared = Arc::new(Shared {
            version: config.version.clone(),
            warmup_ms: u64::try_from(config.warmup.as_millis()).unwrap_or(u64::MAX),
            started_at: clock.now(),
            edge_status: edge_status(&config, &addresses, outside),
            keeper_pid: Some(keeper.pid()),
            paths: config.paths.clone(),
            fabric: fabric.clone(),
            planner,
            edge: edge.clone(),
            events: events.clone(),
            admin: admin.as_ref().map(|(url, _)| url.clone()),
            repo,
            trust,
            clock,
            ending,
        });
        let socket_path = config.paths.socket();
        let (socket, listener) = ApiSocket::bind(&socket_path)
            .map_err(|source| StartError::State { path: socket_path, source })?;
        let mut tasks = JoinSet::new();
        spawn_tasks(&mut tasks, &edge, &fabric);
        let api = server::router(ApiState { shared: shared.clone() });
        tasks.spawn(async move {
            let _ = axum::serve(listener, api).await;
            "local API"
        });
        if let Some((_, listener)) = admin {
            let router = admin::router(edge.clone(), fabric.clone());
            tasks.spawn(async move {
                let _ = axum::serve(listener, router).await;
                "admin address"
            });
        }
        let app = Self {
            agents,
            edge,
            fabric,
            keeper,
            events,
            shared,
            tasks,
            endings,
            _socket: socket,
            lock: Some(lock),
            addresses,
        };
        app.say(&format!(
            "mesh {} started, {} nodes, edge at {}",
            config.version,
            config.nodes,
            app.edge_url()
        ));
        if let Some(predecessor) = predecessor {
            predecessor.release();
        }
        Ok(app)
    }

    pub(super) fn say(&self, message: &str) {
        let at = self.shared.clock.now();
        let message = message.to_owned();
        self.events.record(Event {
            seq: 0,
            at,
            kind: EventKind::Mesh,
            node: None,
            app: None,
            replica: None,
            message,
        });
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

fn open_fabric(config: &Config, mesh: &identity::MeshFile, nodes: &Nodes) -> Result<Fabric, StartError> {
    let (journal, stored) = in_state(&config.paths.journal(), RedbJournal::open)?;
    let set_up = fabric::Config {
        mesh: mesh.mesh,
        authority: nodes.authority(mesh),
        journal: Some(Box::new(journal)),
    };
    let (fabric, dropped) = Fabric::new(set_up, stored, SystemClock.now())?;
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

fn make_edge(config: &Config, nodes: &Nodes) -> Result<Edge, StartError> {
    let node = nodes.present.keys().next().cloned();
    let node = node.unwrap_or_else(|| NodeName::new("node").expect("a label"));
    let mut set_up = edge::Config::new(node);
    set_up.workers = config.edge_workers.unwrap_or_else(default_workers);
    set_up.tls = tls::server_config(&config.tls, &config.paths.config.join("tls"))?;
    Ok(Edge::new(set_up))
}

/// What the edge listens on: for everybody, and (with TLS) plainly for the workloads here.
struct Doors {
    public: Vec<Vec<std::net::TcpListener>>,
    workloads: Option<Vec<std::net::TcpListener>>,
}

impl Doors {
    /// Takes up what a predecessor left, or binds anew; copies stay with the keeper. Nothing is accepted yet.
    async fn open(config: &Config, keeper: &Keeper) -> Result<Self, StartError> {
        let workers = config.edge_workers.unwrap_or_else(default_workers);
        let mut public = Vec::new();
        for (number, address) in config.edge.iter().enumerate() {
            public.push(sockets::open(keeper, &format!("edge-{number}"), *address, workers).await?);
        }
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let workloads = match config.tls {
            crate::Tls::Off => None,
            _ => Some(sockets::open(keeper, "edge-workloads", loopback, workers).await?),
        };
        Ok(Self { public, workloads })
    }

    /// The address that workloads are told, and that people of this machine can use.
    fn local_address(&self, tls: bool) -> SocketAddr {
        let plain = if tls { None } else { self.workloads.as_ref() };
        let listeners = plain.or(self.public.first()).into_iter().flatten();
        let address = listeners.filter_map(|listener| listener.local_addr().ok()).next();
        reachable(address.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
    }

    /// Where people of this machine and others come in.
    fn addresses(&self) -> Vec<SocketAddr> {
        self.public.iter().filter_map(|group| group.first()?.local_addr().ok()).collect()
    }

    /// From now on connections are accepted.
    fn serve(self, edge: &Edge) -> Result<(), StartError> {
        for group in self.public {
            if self.workloads.is_some() {
                edge.start_tls(Listen::Adopt(group))?;
            } else {
                edge.start(Listen::Adopt(group))?;
            }
        }
        if let Some(group) = self.workloads {
            edge.start(Listen::Adopt(group))?;
        }
        Ok(())
    }
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// An address to connect to for one that is listened on: "any" stands for loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        // A dual-stack socket takes IPv4, too, and everything understands 127.0.0.1.
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn bind_admin(admin: Option<SocketAddr>) -> Result<Option<(String, TcpListener)>, StartError> {
    let Some(address) = admin else { return Ok(None) };
    let refused = |source| StartError::Admin { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let at = reachable(listener.local_addr().map_err(refused)?);
    Ok(Some((format!("http://{at}/metrics"), listener)))
}

/// The tasks that run as long as the mesh does.
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

fn spawn_tasks(tasks: &mut JoinSet<&'static str>, edge: &Edge, fabric: &Fabric) {
    let (to, from) = (edge.clone(), fabric.clone());
    tasks.spawn(async move {
        routes::follow(&from, &to).await;
        "routes"
    });
    let counted = edge.clone();
    tasks.spawn(async move {
        counters::log(counted).await;
        "counters"
    });
    let settling = fabric.clone();
    tasks.spawn(async move {
        settle::follow(&settling).await;
        "journal"
    });
    let aging = fabric.clone();
    tasks.spawn(async move {
        clock::tick(&aging).await;
        "clock"
    });
}
