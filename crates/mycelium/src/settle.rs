//! Nodes' own records reach the disk a moment after they were written.
//!
//! Nobody waits for an endpoint to be synced; but a mesh that is killed must be able to tell its successor
//! which replicas were ready, or they would be probed anew before they get requests.

use std::time::Duration;

use fabric::{Fabric, Refused};

/// How long writes may pile up before they share a sync.
const PAUSE: Duration = Duration::from_millis(50);
/// How long after a sync that failed it is tried again: there may be no other change to do it for.
const RETRY: Duration = Duration::from_secs(5);

/// Syncs after every change until it is dropped.
pub(crate) async fn follow(fabric: &Fabric) {
    follow_with(fabric, RETRY).await;
}

async fn follow_with(fabric: &Fabric, retry: Duration) {
    let mut changes = fabric.subscribe();
    loop {
        changes.changed().await;
        tokio::time::sleep(PAUSE).await;
        while let Err(error) = sync(fabric).await {
            tracing::warn!(%error, "records are not on disk");
            tokio::time::sleep(retry).await;
        }
    }
}

async fn sync(fabric: &Fabric) -> Result<(), Refused> {
    let fabric = fabric.clone();
    tokio::task::spawn_blocking(move || fabric.flush()).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use fabric::{Authority, Config, Journal, MeshId, Write};
    use genome::{Node, Pressure};
    use tokio::sync::mpsc;
    use types::{NodeName, Nutrients, Signer as _, Timestamp};

    use super::*;

    /// Has no room for its second and third write; says how many there were.
    struct Full(u32, mpsc::UnboundedSender<u32>);

    impl Journal for Full {
        fn write(&mut self, _: &[Write], _: bool) -> io::Result<()> {
            self.0 += 1;
            self.1.send(self.0).unwrap();
            if matches!(self.0, 2 | 3) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    #[tokio::test]
    async fn what_found_no_room_is_synced_without_another_change() {
        let (key, now) = (soul::SecretKey::generate().unwrap(), Timestamp::from_secs(1_000_000));
        let node = NodeName::new("node-1").unwrap();
        let (said, mut written) = mpsc::unbounded_channel();
        let authority =
            Authority { nodes: BTreeMap::from([(node.clone(), key.public_key())]), ..Authority::default() };
        let journal = Box::new(Full(0, said));
        let config = Config { mesh: MeshId::from_bytes([7; 32]), authority, journal: Some(journal) };
        let (fabric, _) = Fabric::new(config, [], now).unwrap();
        let node = Node {
            node_id: node,
            host: String::new(),
            capacity: Nutrients::default(),
            labels: BTreeMap::new(),
            addresses: Vec::new(),
            version: String::new(),
            pressure: Pressure::None,
        };
        fabric.publish_node(&node, &key, now).unwrap();
        let synced = async { while written.recv().await.is_some_and(|write| write < 4) {} };
        tokio::select! {
            () = follow_with(&fabric, Duration::from_millis(1)) => {}
            in_time = tokio::time::timeout(Duration::from_secs(20), synced) => in_time.unwrap(),
        }
    }
}
