//! What runs of nodes that this machine doesn't have any more: nobody will ever look after it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use membrane::{Keeper, KeeperConfig, KeeperError, KeeperEvent};
use tokio::time::timeout;
use types::NodeName;

use crate::prepare;

/// How long such a process has to end after SIGTERM: no request is routed to it.
const GRACE: Duration = Duration::from_secs(1);
/// How long the keeper has for the end of all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends every process of a node that is not among `present`, and removes such nodes' folders from `run`, the
/// folder of all nodes' run folders. To be called before agents start; how many processes there were.
pub async fn retire(
    keeper: &KeeperConfig,
    present: &BTreeSet<NodeName>,
    run: &Path,
) -> Result<usize, KeeperError> {
    let (keeper, processes, mut events) = Keeper::attach(keeper.clone()).await?;
    let is_present = |node: &str| present.iter().any(|name| name.as_str() == node);
    let strangers = processes.iter().filter(|process| !process.id.split('/').next().is_some_and(is_present));
    let mut running = BTreeSet::new();
    let mut ended = Vec::new();
    for process in strangers {
        if process.exit.is_none() {
            tracing::warn!(id = process.id, pid = process.pid, "ends a process of a node that is no more");
            keeper.stop(&process.id, GRACE).await?;
            running.insert(process.id.clone());
        }
        ended.push(process.id.clone());
    }
    let gone = async {
        while !running.is_empty() {
            match events.next().await {
                Some(KeeperEvent::Exited { id, .. }) => drop(running.remove(&id)),
                Some(KeeperEvent::Lost) | None => break,
            }
        }
    };
    // What does not end even when it is killed is the kernel's: it must not keep the mesh from starting.
    let _ = timeout(PATIENCE, gone).await;
    for id in &ended {
        keeper.forget(id).await.or_else(|error| match error {
            KeeperError::Unknown { .. } | KeeperError::Refused { .. } => Ok(()),
            other => Err(other),
        })?;
    }
    let folders = std::fs::read_dir(run).into_iter().flatten().filter_map(Result::ok);
    for folder in folders.filter(|folder| !folder.file_name().to_str().is_some_and(is_present)) {
        if let Err(error) = prepare::clear(&folder.path()) {
            tracing::warn!(%error, "failed to remove {}", folder.path().display());
        }
    }
    Ok(ended.len())
}
