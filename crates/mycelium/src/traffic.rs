//! How an agent learns that nobody uses a replica any more: neither the edge of this process nor a peer's.
//!
//! An agent drains the replaced only after it published the one that replaces it. The table follows the records a
//! moment later, and so is brought up to date first: a request never finds the one gone and the other not there yet.

use std::sync::Arc;

use agent::{BoxFuture, Traffic};
use edge::Edge;
use types::{AppName, NodeName, ReplicaName};

use crate::routes::{self, Routing};
use crate::tunnel::Tunnels;

/// The edge of this process, and those of peers with tunnels to it.
pub(crate) struct EdgeTraffic {
    pub(crate) edge: Edge,
    pub(crate) routing: Arc<Routing>,
    /// Absent in a mesh on one machine.
    pub(crate) tunnels: Option<Tunnels>,
}

impl Traffic for EdgeTraffic {
    fn drained(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) -> BoxFuture<()> {
        self.routing.catch_up();
        let id = routes::id(app, node, replica);
        let here = self.edge.routes().drained(&id);
        let there = self.tunnels.as_ref().map(|tunnels| tunnels.drained(&id));
        Box::pin(async move {
            let there = async {
                if let Some(there) = there {
                    there.await;
                }
            };
            let ((), ()) = tokio::join!(here, there);
        })
    }

    fn resumed(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) {
        let id = routes::id(app, node, replica);
        self.edge.routes().resumed(&id);
        if let Some(tunnels) = &self.tunnels {
            tunnels.resumed(&id);
        }
    }
}

#[cfg(test)]
mod tests;
