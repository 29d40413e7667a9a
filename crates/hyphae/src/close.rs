//! The end of an overlay: first nothing new, then time for what is under way, then everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::shared::Shared;
use crate::wire;

/// How long peers may take to acknowledge that we close, and tasks to end after that.
const LAST: Duration = Duration::from_secs(3);

/// Closes; the second one to ask finds nothing left to do.
pub async fn close(shared: Arc<Shared>, grace: Duration) {
    shared.table().closed = true;
    shared.closing.cancel();
    if let Some(endpoints) = shared.endpoints() {
        endpoints.stop();
    }
    shared.work.close();
    let _ = timeout(grace, shared.work.wait()).await;
    let links: Vec<_> = {
        let mut table = shared.table();
        std::mem::take(&mut table.peers).into_values().flat_map(|entry| entry.links).collect()
    };
    for link in &links {
        link.close(wire::CODE_DONE, "it closes");
    }
    if let Some(endpoints) = shared.take_endpoints()
        && timeout(LAST, endpoints.close()).await.is_err()
    {
        tracing::warn!("peers did not acknowledge in time that the overlay closes");
    }
    shared.closed.cancel();
    shared.tasks.close();
    let ended = async { tokio::join!(shared.tasks.wait(), shared.work.wait()) };
    if timeout(LAST, ended).await.is_err() {
        tracing::error!("a handler of a stream blocks its thread and can't be ended");
    }
}
