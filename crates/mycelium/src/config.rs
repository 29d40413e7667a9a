//! What a mesh on one machine is made from, and why it may not start.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::identity::IdentityError;
use crate::member::NodeFile;
use crate::tls::TlsError;
use crate::{Paths, Tls};

/// The set-up of a mesh on this machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything lies.
    pub paths: Paths,
    /// How many nodes (agents) run here: `node-1` and so on. A node of a mesh of many runs one, under its own name.
    pub nodes: u32,
    /// What this machine is in a mesh of many; absent in a mesh of its own.
    pub member: Option<NodeFile>,
    /// When a signal ends this process, the workloads stay with the keeper, for the next start.
    pub keep_workloads: bool,
    /// What the nodes' labels are, beside `host`.
    pub labels: BTreeMap<String, String>,
    /// Where HTTP comes in; port 0 takes a free one. The first is what workloads are told.
    pub edge: Vec<SocketAddr>,
    /// Where metrics are served; nowhere when absent.
    pub admin: Option<SocketAddr>,
    /// Whether the edge speaks TLS. Workloads then reach it on a loopback address of its own, without.
    pub tls: Tls,
    /// Another repo folder than the state's.
    pub repo: Option<PathBuf>,
    /// The `mesh` binary: what the keeper is started from.
    pub program: PathBuf,
    /// The warm-up that plans get unless they say otherwise.
    pub warmup: Duration,
    /// The identity of this binary.
    pub version: String,
    /// Take over from the `mesh` that runs in this state, if one does.
    pub takeover: bool,
    /// The machine's environment; of it, workloads get `PATH`, `HOME`, `TMPDIR` and `LANG`.
    pub environment: Vec<(String, String)>,
    /// How long a part of the process may hold on before the watchdog ends it, for the next start to do better.
    pub patience: Duration,
    /// So long must replicas have been seen before their size is learned.
    pub learning: Duration,
    /// Threads of the edge; one a core when absent.
    pub edge_workers: Option<usize>,
    /// Whom this process tells of itself over OTLP, if anybody.
    pub otlp: Option<scent::Settings>,
}

/// Why the mesh doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another `mesh` runs in the same state.
    #[error("start in {}: a mesh runs there already{}", .state.display(), .pid.map(|p| format!(" (process {p})")).unwrap_or_default())]
    Running {
        /// The state folder.
        state: PathBuf,
        /// Its process.
        pid: Option<u32>,
    },
    /// The mesh that runs there did not let go.
    #[error("take over from the mesh that runs: {0}")]
    Takeover(#[from] crate::client::ClientError),
    /// No or a broken identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file or folder of the state.
    #[error("use {}: {source}", .path.display())]
    State {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The overlay.
    #[error(transparent)]
    Network(#[from] hyphae::StartError),
    /// The papers of a node of a mesh of many.
    #[error(transparent)]
    Papers(#[from] soul::FileError),
    /// The book of tickets.
    #[error(transparent)]
    Tickets(#[from] soul::BookError),
    /// A paper that must be there.
    #[error("find {what} in {}: `mesh node join` brings it", .papers.display())]
    NoPaper {
        /// Which one.
        what: &'static str,
        /// Where it should be.
        papers: PathBuf,
    },
    /// A node's key.
    #[error(transparent)]
    Key(#[from] soul::KeyFileError),
    /// The trust store.
    #[error(transparent)]
    Trust(#[from] soul::TrustError),
    /// The repo.
    #[error(transparent)]
    Repo(#[from] repo::Error),
    /// The records.
    #[error("open the fabric: {0}")]
    Fabric(#[from] fabric::Refused),
    /// The keeper.
    #[error(transparent)]
    Keeper(#[from] membrane::KeeperError),
    /// The key service.
    #[error(transparent)]
    Vault(#[from] crate::VaultError),
    /// The certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address that can't be listened on.
    #[error(transparent)]
    Edge(#[from] edge::EdgeError),
    /// The collector.
    #[error("tell {at} of this node: {reason}")]
    Collector {
        /// Which one.
        at: String,
        /// Why not.
        reason: String,
    },
    /// The admin address.
    #[error("listen on the admin address {address}: {source}")]
    Admin {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A node could not be started.
    #[error("start node {node}: {source}")]
    Node {
        /// Which one.
        node: String,
        /// Why.
        source: agent::StartError,
    },
}
