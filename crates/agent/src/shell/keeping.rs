//! The keeper's side of a replica: its id there, its exits, and what is done when the keeper itself is lost.

use std::path::PathBuf;
use std::time::Duration;

use membrane::{Exit, Keeper, KeeperError, OutOfMemory, Process, Spawn};
use tokio::sync::watch;
use tokio::time::Instant;
use types::{NodeName, ReplicaName};

use super::{Connection, Report, Shell};
use crate::core::{Input, LaunchId};

/// How long after a failed try a keeper is looked for again.
const KEEPER_RETRY: Duration = Duration::from_secs(1);
/// The longest last line that goes into an event or a record.
const MAX_LINE: usize = 300;

/// What the keeper calls a launch: unique over all nodes that share it.
pub(super) fn key(node: &NodeName, id: &LaunchId) -> String {
    format!("{node}/{}/{}", id.replica, id.attempt)
}

/// What the keeper's names for all launches of `node` begin with.
pub(super) fn prefix(node: &NodeName) -> String {
    format!("{node}/")
}

/// The launch of `node` that the keeper calls so.
pub(super) fn launch_of(node: &NodeName, key: &str) -> Option<LaunchId> {
    let mut parts = key.splitn(3, '/');
    if parts.next()? != node.as_str() {
        return None;
    }
    let replica = ReplicaName::new(parts.next()?).ok()?;
    Some(LaunchId { replica, attempt: parts.next()?.parse().ok()? })
}

/// Spawns; where the keeper is lost meanwhile, what it had begun is gone with it, and the next one is asked.
pub(super) async fn keeper_spawn(
    mut keepers: watch::Receiver<Connection>,
    order: Spawn,
) -> Result<(Process, u64), KeeperError> {
    loop {
        let Connection { number, keeper } = keepers.borrow_and_update().clone();
        let spawn =
            order.try_clone().map_err(|error| KeeperError::Launch { text: format!("spawn: {error}") })?;
        match keeper.spawn(spawn).await {
            Err(KeeperError::Lost) => keepers.changed().await.map_err(|_| KeeperError::Lost)?,
            Err(KeeperError::Silent) => {
                // It may do it yet, when nobody waits for it any more.
                let _ = keeper.kill(&order.id).await;
                return Err(KeeperError::Silent);
            }
            other => return other.map(|process| (process, number)),
        }
    }
}

/// The last line of a log, shortened; nothing where there is none.
pub(super) async fn last_line(logs: PathBuf) -> String {
    let read = tokio::task::spawn_blocking(move || membrane::tail(&logs, 1)).await;
    let line = read.ok().and_then(Result::ok).and_then(|mut lines| lines.pop()).map(|line| line.text);
    line.unwrap_or_default().chars().filter(|c| !c.is_control()).take(MAX_LINE).collect()
}

pub(super) const fn exit(exit: Exit) -> genome::Exit {
    match exit {
        Exit::Code(code) => genome::Exit::Code(code),
        Exit::Signal(signal) => genome::Exit::Signal(signal),
    }
}

/// A lack of memory, or of a network, in words.
pub(super) fn cause(oom: Option<OutOfMemory>, cut: bool) -> Option<String> {
    match oom {
        Some(OutOfMemory { limit: Some(limit) }) => {
            Some(format!("killed: out of memory (limit {} MiB)", limit >> 20))
        }
        Some(OutOfMemory { limit: None }) => Some("killed: the machine is out of memory".to_owned()),
        None if cut => Some("killed: the relay of its network had ended".to_owned()),
        None => None,
    }
}

impl Shell {
    pub(super) fn exited(&mut self, key: &str, how: Exit, oom: Option<OutOfMemory>, cut: bool) {
        let Some(id) = launch_of(&self.config.node.node_id, key) else { return };
        if let Some(oom) = oom {
            let launch =
                self.core.running().map(|(launch, ..)| launch).find(|launch| launch.id == id).cloned();
            launch.iter().for_each(|launch| self.lacked_memory(&launch.app, launch.digest, oom));
        }
        let logs = self.config.logs_dir.join(id.replica.as_str());
        self.spawn_task(async move {
            let cause = cause(oom, cut);
            Input::Exited { id, exit: Some(exit(how)), cause, last_line: last_line(logs).await }
        });
    }

    pub(super) fn stop(&mut self, id: &LaunchId, grace: Duration) {
        let (keeper, name) = (self.keeper.borrow().keeper.clone(), key(&self.config.node.node_id, id));
        self.end(id, async move { keeper.stop(&name, grace).await });
    }

    pub(super) fn kill(&mut self, id: &LaunchId) {
        let (keeper, name) = (self.keeper.borrow().keeper.clone(), key(&self.config.node.node_id, id));
        self.end(id, async move { keeper.kill(&name).await });
    }

    /// An end that was asked for comes as an event; what the keeper doesn't know at all has ended before.
    fn end(&mut self, id: &LaunchId, asked: impl Future<Output = Result<(), KeeperError>> + Send + 'static) {
        let (id, reporter) = (id.clone(), self.reporter.clone());
        self.tasks.spawn(async move {
            match asked.await {
                Ok(()) | Err(KeeperError::Lost) => {}
                Err(KeeperError::Unknown { .. }) => {
                    let input = Input::Exited { id, exit: None, cause: None, last_line: String::new() };
                    let _ = reporter.send(Report::Input(input));
                }
                Err(error) => tracing::warn!(%error, "failed to end {}", id.replica),
            }
        });
    }

    /// The keeper is gone, and with it all workloads: a new one is started, and everything begins anew.
    pub(super) async fn attach_again(&mut self) {
        match Keeper::attach(self.deps.keeper.clone()).await {
            Ok((keeper, processes, events)) => {
                tracing::warn!(node = %self.config.node.node_id, "the keeper was lost and is there again");
                self.keeper_retry = None;
                self.keeper_events = events;
                let adoption = self.found(processes).await;
                self.tell(Input::Adopt(Box::new(adoption))).await;
                self.keeper.send_modify(|connection| {
                    *connection = Connection { number: connection.number + 1, keeper };
                });
            }
            Err(error) => {
                tracing::error!(node = %self.config.node.node_id, %error, "failed to attach to the keeper again");
                if self.stopping.is_some() {
                    self.end_without_keeper().await;
                }
                self.keeper_retry = Some(Instant::now() + KEEPER_RETRY);
            }
        }
    }

    /// An agent that is to stop everything can do that without a keeper, which could only start things.
    async fn end_without_keeper(&mut self) {
        let dir = self.deps.keeper.dir.clone();
        match tokio::task::spawn_blocking(move || membrane::reap_strays(&dir)).await {
            Ok(Ok(_)) => {
                let adoption = self.found(Vec::new()).await;
                self.tell(Input::Adopt(Box::new(adoption))).await;
            }
            Ok(Err(error)) => tracing::error!(%error, "failed to end what the lost keeper left"),
            Err(error) => tracing::error!(%error, "failed to end what the lost keeper left"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_understood_by_its_own_node_only() {
        let node = NodeName::new("node-1").unwrap();
        let id = LaunchId { replica: ReplicaName::new("billing-abcde").unwrap(), attempt: 12 };
        assert_eq!(launch_of(&node, &key(&node, &id)), Some(id.clone()));
        let other = NodeName::new("node-10").unwrap();
        assert_eq!(launch_of(&other, &key(&node, &id)), None);
        for text in ["", "node-1", "node-1/billing-abcde", "node-1/billing-abcde/x", "node-1/-/1"] {
            assert_eq!(launch_of(&node, text), None);
        }
    }
}
