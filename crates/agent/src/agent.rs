//! The agent from outside: what it needs, how it is started, and its two ways to end.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use fabric::Fabric;
use genome::Node;
use membrane::{GroupAt, KeeperConfig, KeeperError, Layers};
use repo::Repo;
use soul::{Custodian, TrustStore};
use telemetry::Event;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use types::{AppName, Digest, NodeName, ReplicaName, Signer, Timestamp};

use crate::collector::Collector;
use crate::core::Timing;
use crate::sample::Samples;
use crate::shell::{Command, Shell};
use crate::{Admission, Planner, Ports, Witness};

/// What an agent is.
#[derive(Debug, Clone)]
pub struct Config {
    /// The node it is the agent of, as it is published.
    pub node: Node,
    /// Where replicas of this node are extracted: `run/<node>`. Nobody else writes there.
    pub run_dir: PathBuf,
    /// Where they log: `logs/<node>`.
    pub logs_dir: PathBuf,
    /// Where this node's own profiles lie, `NAME.toml`.
    pub profiles_dir: PathBuf,
    /// What this machine can confine workloads with.
    pub layers: Layers,
    /// How workloads reach other apps: `MESH_EDGE`.
    pub edge_url: String,
    /// The collector that workloads are told of, if there is one.
    pub collector: Option<Collector>,
    /// The machine's environment; of it, workloads get `PATH`, `HOME`, `TMPDIR` and `LANG`.
    pub environment: Vec<(String, String)>,
    /// The periods of a replica's life.
    pub timing: Timing,
}

/// What an agent works with.
#[derive(Clone)]
pub struct Deps {
    /// The records.
    pub fabric: Fabric,
    /// What should run; shared by the agents of a machine.
    pub planner: Arc<Planner>,
    /// The keeper of the machine: every agent has a connection of its own.
    pub keeper: KeeperConfig,
    /// The spores of the machine.
    pub repo: Repo,
    /// Whom this machine trusts, besides whom the mesh does.
    pub trust: Arc<TrustStore>,
    /// What operators' rules say.
    pub admission: Arc<dyn Admission>,
    /// Who opens secrets that are sealed to this node, in the order in which they are asked: its key, a key service.
    pub custodians: Vec<Arc<dyn Custodian>>,
    /// The node's key.
    pub signer: Arc<dyn Signer + Send + Sync>,
    /// The requests that are open on replicas.
    pub traffic: Arc<dyn Traffic>,
    /// The ports of the machine.
    pub ports: Arc<Ports>,
    /// Hears of events; their number is 0 and given by whoever keeps them. Called often: it must not wait.
    pub events: Arc<dyn Fn(Event) + Send + Sync>,
    /// Hears of each process that was started, whether it lives or has ended by now. Must not wait either.
    pub born: Arc<dyn Fn(Born) + Send + Sync>,
    /// Hears what the agent is at.
    pub witness: Arc<dyn Witness>,
    /// The time for people, for records and events.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A process that was started.
#[derive(Debug, Clone)]
pub struct Born {
    /// Its node.
    pub node: NodeName,
    /// Its app.
    pub app: AppName,
    /// Its replica.
    pub replica: ReplicaName,
    /// Where the kernel counts what it does.
    pub group: GroupAt,
}

/// A future that nobody needs to know more of.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What knows about open requests: the edge, or nobody.
pub trait Traffic: Send + Sync {
    /// Resolves when no request is open on the replica and none will be sent to it any more. It is asked in
    /// the moment in which the replica's record ceases to be `ready`; whoever routes may learn that later,
    /// and has to before this resolves. Dropped when the replica becomes ready again, or is gone.
    fn drained(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) -> BoxFuture<()>;

    /// The replica is `ready` again after [`Traffic::drained`] was asked for: whoever routes may never have seen
    /// that it wasn't.
    fn resumed(&self, app: &AppName, node: &NodeName, replica: &ReplicaName);
}

/// An agent that was not started.
pub struct Agent {
    config: Config,
    deps: Deps,
}

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No keeper: the machine's or the installation's fault.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The folder for replicas can't be used.
    #[error("use {}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The fabric doesn't take this node's records: the wrong key, most likely.
    #[error("publish the node: {0}")]
    Fabric(#[from] fabric::Refused),
}

/// A running agent. Dropping it is [`AgentHandle::detach`] without waiting.
#[derive(Debug)]
pub struct AgentHandle {
    commands: mpsc::UnboundedSender<Command>,
    samples: watch::Receiver<Arc<Samples>>,
    task: JoinHandle<()>,
}

/// Tells an agent of spores; keeps it no longer than its handle does.
#[derive(Debug, Clone)]
pub struct Arrivals(mpsc::WeakUnboundedSender<Command>);

impl Agent {
    /// An agent of this shape; nothing happens yet.
    #[must_use]
    pub const fn new(config: Config, deps: Deps) -> Self {
        Self { config, deps }
    }

    /// Takes over what runs on this node already, publishes the node, and begins to reconcile.
    pub async fn start(self) -> Result<AgentHandle, StartError> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let shell = Shell::start(self.config, self.deps).await?;
        let samples = shell.samples_of();
        let task = tokio::spawn(shell.run(receiver));
        Ok(AgentHandle { commands, samples, task })
    }
}

impl Arrivals {
    /// A spore that may have been missing or damaged is in the repository. An agent that has ended needs none.
    pub fn arrived(&self, digest: Digest) {
        if let Some(commands) = self.0.upgrade() {
            let _ = commands.send(Command::SporeArrived(digest));
        }
    }
}

impl AgentHandle {
    /// Drains and stops every replica of this node, takes its records back, and returns when all are gone.
    pub async fn stop(self) {
        self.end(Command::Stop).await;
    }

    /// Ceases to reconcile and leaves everything as it is, for the next agent to take over.
    pub async fn detach(self) {
        self.end(Command::Detach).await;
    }

    /// What ends it at once, wherever it is, as a crash would: the keeper still has the replicas.
    #[must_use]
    pub fn abort_handle(&self) -> tokio::task::AbortHandle {
        self.task.abort_handle()
    }

    /// Where this agent hears of spores.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        Arrivals(self.commands.downgrade())
    }

    /// What the replicas of this node use, each second or so while there are any: the last reading, for whoever asks.
    #[must_use]
    pub fn samples(&self) -> watch::Receiver<Arc<Samples>> {
        self.samples.clone()
    }

    /// Resolves when the agent has ended without being asked to: it failed, and its node is looked after by nobody.
    pub async fn ended(&self) {
        self.commands.closed().await;
    }

    async fn end(self, how: fn(oneshot::Sender<()>) -> Command) {
        let (done, ended) = oneshot::channel();
        let _ = self.commands.send(how(done));
        // An agent that is gone already has nothing left to end.
        let _ = ended.await;
        let _ = self.task.await;
    }
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("config", &self.config).finish_non_exhaustive()
    }
}
