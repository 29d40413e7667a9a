//! Nodes' own records reach the disk a moment after they were written.
//!
//! Nobody waits for an endpoint to be synced; but a mesh that is killed must be able to tell its successor
//! which replicas were ready, or they would be probed anew before they get requests.

use std::time::Duration;

use fabric::Fabric;

/// How long writes may pile up before they share a sync.
const PAUSE: Duration = Duration::from_millis(50);

/// Syncs after every change until it is dropped.
pub(crate) async fn follow(fabric: &Fabric) {
    let mut changes = fabric.subscribe();
    loop {
        changes.changed().await;
        tokio::time::sleep(PAUSE).await;
        let flushed = fabric.clone();
        match tokio::task::spawn_blocking(move || flushed.flush()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(%error, "records are not on disk"),
        }
    }
}
