//! Which groups there are to be watched: those of this machine's replicas, as records and the kernel say.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use fabric::Fabric;
use membrane::{GroupAt, bpf};
use types::{NodeName, ReplicaName};

use super::{Sight, Watched};
use crate::presence::Presence;

/// How long changes are gathered.
const GATHERED: Duration = Duration::from_millis(20);

/// Tells of every replica that runs here, once it does.
pub(crate) async fn find(fabric: Fabric, presence: Presence, sight: Sight) {
    let mut changes = fabric.subscribe();
    let mut known: BTreeMap<(NodeName, ReplicaName), u32> = BTreeMap::new();
    let mut parents = BTreeSet::new();
    loop {
        changes.changed().await;
        let view = fabric.view();
        let mut running = BTreeMap::new();
        for endpoint in view.endpoints().filter(|endpoint| presence.is_own(&endpoint.node_id)) {
            let Some(pid) = endpoint.pid else { continue };
            let key = (endpoint.node_id.clone(), endpoint.replica.clone());
            if known.get(&key) != Some(&pid)
                && let Some(watched) = watched(endpoint, pid)
            {
                let parent = watched.group.path.parent().map(ToOwned::to_owned).unwrap_or_default();
                if parents.insert(parent.clone()) {
                    sight.below(parent).await;
                }
                sight.watch(watched);
            }
            running.insert(key, pid);
        }
        known = running;
        tokio::time::sleep(GATHERED).await;
    }
}

/// The replica's group, if its process still is the replica's: by now the number may be another's.
fn watched(endpoint: &genome::Endpoint, pid: u32) -> Option<Watched> {
    let path = bpf::group_of(pid)?;
    let replica = endpoint.replica.clone();
    path.file_name()?.to_str()?.contains(replica.as_str()).then_some(())?;
    let group = GroupAt { id: std::fs::metadata(&path).ok()?.ino(), path };
    Some(Watched { node: endpoint.node_id.clone(), app: endpoint.app_name.clone(), replica, group })
}
