//! The mesh on this machine as one thing: started, run until it is asked to end, stopped or handed over.

mod agents;
mod doors;
mod end;
mod outside;
mod papers;
mod start;

use std::sync::Arc;

use edge::Edge;
use fabric::Fabric;
use membrane::Keeper;
use scent::Scent;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use types::NodeName;

use crate::events::EventLog;
use crate::lock::StateLock;
use crate::network::Network;
use crate::quarantine::Watchdog;
use crate::server::{ApiSocket, Ending, Shared};
use crate::takeover::Predecessor;

/// A running mesh. Dropping it cuts everything but the workloads, which stay with the keeper.
pub struct App {
    agents: Vec<(NodeName, agent::AgentHandle)>,
    edge: Edge,
    fabric: Fabric,
    keeper: Keeper,
    events: EventLog,
    shared: Arc<Shared>,
    /// Long-lived tasks by name; none may end before the mesh does.
    tasks: JoinSet<&'static str>,
    endings: mpsc::Receiver<Ending>,
    _socket: ApiSocket,
    lock: Option<StateLock>,
    keep_workloads: bool,
    _watchdog: Watchdog,
    /// The mesh before, which serves beside this one until that is [run](App::run).
    predecessor: Option<Predecessor>,
}

/// How a mesh ended.
pub enum Outcome {
    /// Everything is stopped, the keeper too.
    Stopped,
    /// This process is done; the keeper and the workloads stay for the next start.
    Left,
    /// A successor has the state; the last open requests are finished.
    HandedOver,
    /// A successor came and died: start anew, then [`Remains::finish`] what still serves here.
    Abandoned(Remains),
}

/// What still serves of a mesh that has let go of its state.
pub struct Remains {
    edge: Edge,
    network: Option<Network>,
    scent: Option<Scent>,
    tasks: JoinSet<&'static str>,
}

/// A mesh that could not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A part that must not end has ended.
    #[error("keep the {0} running: it ended by itself")]
    TaskEnded(&'static str),
    /// An agent has ended: nobody would look after what runs on its node.
    #[error("keep the agent of {0} running: it ended by itself")]
    AgentEnded(NodeName),
    /// A part that must not end has panicked.
    #[error("keep a task running: {0}")]
    TaskPanicked(tokio::task::JoinError),
    /// The store panicked: what it shows can't be relied on.
    #[error("keep the records: the store panicked over one")]
    StoreBroke,
}

impl App {
    /// Where HTTP comes in, as a base URL.
    #[must_use]
    pub fn edge_url(&self) -> &str {
        &self.shared.edge_status.url
    }
}
