//! The two ways to end: stop everything, or leave everything to a successor.

use std::time::Duration;

use agent::AgentHandle;
use futures_util::future::{join_all, select_all};
use tokio::time::timeout;
use types::NodeName;

use super::{App, Outcome, Remains, RunError};
use crate::api::Shutdown;
use crate::server::{Ending, LineSender};
use crate::sockets;

/// How long open requests may go on when the mesh stops.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// The same, when a part of it has failed: the next start serves again.
const FAILED_GRACE: Duration = Duration::from_secs(1);
/// How long open requests, uploads and tunnels may go on after a hand-over.
const HAND_OVER_GRACE: Duration = Duration::from_secs(60);
/// How long a collector may take for what was not told yet.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Between the successor's signal and the end of its connection, whichever is seen first.
const SIGNAL_LAG: Duration = Duration::from_secs(2);

impl App {
    /// Lets a predecessor end, and runs until `until` resolves, the local API asks for an end, or a part fails. When `hurry` resolves
    /// meanwhile, open requests and graces of workloads are cut short.
    pub async fn run(
        mut self,
        until: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<Outcome, RunError> {
        tokio::pin!(until);
        let quarantine = self.shared.quarantine.clone();
        let broken = quarantine.broken();
        if let Some(predecessor) = self.predecessor.take() {
            predecessor.release();
        }
        let ending = tokio::select! {
            () = &mut until => None,
            node = any_ended(&self.agents) => {
                self.give_up(hurry).await;
                return Err(RunError::AgentEnded(node));
            }
            ending = self.endings.recv() => ending,
            () = broken => {
                self.give_up(hurry).await;
                return Err(RunError::StoreBroke);
            }
            ended = self.tasks.join_next() => {
                self.give_up(hurry).await;
                return Err(match ended {
                    Some(Err(panicked)) => RunError::TaskPanicked(panicked),
                    Some(Ok(name)) => RunError::TaskEnded(name),
                    None => RunError::TaskEnded("last task"),
                });
            }
        };
        match ending {
            Some(Ending { how: Shutdown::HandOver, asker }) => Ok(self.hand_over(asker, until, hurry).await),
            Some(Ending { how: Shutdown::Stop, asker }) => {
                let _ = asker.send(&[self.shared.version_info()]).await;
                drop(asker);
                self.stop(hurry).await;
                quarantine.close();
                Ok(Outcome::Stopped)
            }
            None if self.keep_workloads => {
                self.leave(STOP_GRACE, hurry).await;
                quarantine.close();
                Ok(Outcome::Left)
            }
            None => {
                self.stop(hurry).await;
                quarantine.close();
                Ok(Outcome::Stopped)
            }
        }
    }

    /// A part of this process has failed. A node of many leaves its workloads to the next start, which a supervisor
    /// makes; on one machine nobody may be there to make it.
    async fn give_up(&mut self, hurry: impl Future<Output = ()>) {
        if self.shared.network.is_some() {
            self.leave(FAILED_GRACE, hurry).await;
        } else {
            self.stop(hurry).await;
        }
    }

    /// Ends this process alone: what it started goes on with the keeper. Peers find out that it is gone if it
    /// doesn't come back soon, and not before: a restart moves nothing.
    async fn leave(&mut self, grace: Duration, hurry: impl Future<Output = ()>) {
        self.say("mesh leaves its workloads to the next start");
        let gently = async {
            self.edge.stop(grace).await;
            join_all(self.agents.drain(..).map(|(_, agent)| agent.detach())).await;
            if let Some(network) = &self.shared.network {
                // Last of all: what peers ask for from now on waits for the next start.
                network.tunnels.pause();
                cut(network.tunnels.idle(STOP_GRACE).await);
                // What arrives until the next start waits in the sockets, as connections do in the edge's.
                self.bequeath().await;
                network.tunnels.end();
                network.close().await;
            }
        };
        tokio::select! {
            () = gently => {}
            () = hurry => tracing::warn!("asked twice: open requests are cut"),
        }
        self.last_words().await;
        self.close_journal().await;
    }

    /// Requests first, then replicas, then the keeper, so that nobody asks for what is gone.
    async fn stop(&mut self, hurry: impl Future<Output = ()>) {
        self.say("mesh stops");
        if let Some(network) = &self.shared.network {
            network.say_goodbye().await;
        }
        let network = self.shared.network.clone();
        let aborts: Vec<_> = self.agents.iter().map(|(_, agent)| agent.abort_handle()).collect();
        let gently = async {
            let peers = async {
                if let Some(network) = &network {
                    network.tunnels.gone(STOP_GRACE).await;
                }
            };
            let (cut, ()) = tokio::join!(self.edge.stop(STOP_GRACE), peers);
            if cut > 0 {
                tracing::warn!(connections = cut, "connections were cut at the end of the grace");
            }
            join_all(self.agents.drain(..).map(|(_, agent)| agent.stop())).await;
        };
        tokio::select! {
            () = gently => {}
            () = hurry => {
                tracing::warn!("asked twice: what still runs is killed");
                // Or they would see a keeper lost, and start another with all that it held.
                aborts.iter().for_each(tokio::task::AbortHandle::abort);
            }
        }
        self.last_words().await;
        if let Some(network) = &self.shared.network {
            network.close().await;
        }
        if let Err(error) = self.keeper.shutdown().await {
            tracing::warn!(%error, "the keeper did not end as asked");
        }
        self.close_journal().await;
    }

    /// Lets go of state and journal, says so, serves until the successor does, and finishes what is open.
    async fn hand_over(
        mut self,
        asker: LineSender,
        until: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Outcome {
        self.say("mesh hands over to a successor");
        self.shared.seen.hand_over();
        self.hush();
        join_all(self.agents.drain(..).map(|(_, agent)| agent.detach())).await;
        self.bequeath().await;
        self.close_journal().await;
        self.events.release();
        self.shared.quarantine.close();
        self.lock = None;
        let told = asker.send(&[self.shared.version_info()]).await;
        let remains = Remains {
            edge: self.edge.clone(),
            network: self.shared.network.clone(),
            scent: self.shared.scent.clone(),
            tasks: std::mem::take(&mut self.tasks),
        };
        if told.is_err() || !succeeded(&asker, until).await {
            tracing::error!("the successor ended before it served: this mesh goes on");
            self.bequeath().await;
            return Outcome::Abandoned(remains);
        }
        tokio::select! {
            () = remains.finish() => {}
            () = hurry => {}
        }
        Outcome::HandedOver
    }

    /// Leaves the overlay's sockets to whoever starts next. What is open on them goes on.
    async fn bequeath(&self) {
        let Some(network) = &self.shared.network else { return };
        let left = match network.bequeath() {
            Ok(left) => sockets::leave_overlay(&self.keeper, left).await.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "the overlay can't be handed over: what peers have open here is cut");
            network.cut().await;
        }
    }

    /// From now on a successor tells the collector.
    fn hush(&self) {
        if let Some(scent) = &self.shared.scent {
            scent.hand_over();
        }
    }

    /// Tells the collector what it was not told yet.
    async fn last_words(&self) {
        if let Some(scent) = &self.shared.scent {
            scent.close(LAST_WORDS).await;
        }
    }

    async fn close_journal(&self) {
        let fabric = self.fabric.clone();
        let closed = tokio::task::spawn_blocking(move || fabric.close()).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!(%error, "the last records are not on disk");
        }
    }
}

impl Remains {
    /// Finishes the requests that are open; new connections go to whoever else has the sockets.
    pub async fn finish(self) {
        let peers = async {
            if let Some(network) = &self.network {
                cut(network.tunnels.idle(HAND_OVER_GRACE).await);
            }
        };
        tokio::join!(self.edge.stop(HAND_OVER_GRACE), peers);
        if let Some(scent) = &self.scent {
            scent.close(LAST_WORDS).await;
        }
        if let Some(network) = &self.network {
            network.cut().await;
        }
        drop(self.tasks);
    }
}

/// Says that tunnels were open for too long.
fn cut(tunnels: usize) {
    if tunnels > 0 {
        tracing::warn!(tunnels, "tunnels of other nodes were cut at the end of the grace");
    }
}

/// Resolves when the first of the agents has ended by itself; which node's.
async fn any_ended(agents: &[(NodeName, AgentHandle)]) -> NodeName {
    let ended = agents.iter().map(|(node, agent)| {
        Box::pin(async {
            agent.ended().await;
            node.clone()
        })
    });
    select_all(ended).await.0
}

/// Whether the successor gave its signal (which ends `until`) before it was gone.
async fn succeeded(asker: &LineSender, until: impl Future<Output = ()>) -> bool {
    tokio::pin!(until);
    tokio::select! {
        biased;
        () = &mut until => true,
        () = asker.closed() => timeout(SIGNAL_LAG, until).await.is_ok(),
    }
}
