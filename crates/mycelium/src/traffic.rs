//! How an agent learns that nobody uses a replica any more: neither the edge of this process nor a peer's.

use agent::{BoxFuture, Traffic};
use edge::Edge;
use types::{AppName, NodeName, ReplicaName};

use crate::routes;
use crate::tunnel::Tunnels;

/// The edge of this process, where it is the only one.
pub(crate) struct EdgeTraffic(pub(crate) Edge);

impl Traffic for EdgeTraffic {
    fn drained(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) -> BoxFuture<()> {
        Box::pin(self.0.routes().drained(&routes::id(app, node, replica)))
    }

    fn resumed(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) {
        self.0.routes().resumed(&routes::id(app, node, replica));
    }
}

/// The edge of this process, and those of peers with tunnels to it.
#[derive(Debug, Clone)]
pub struct PeerTraffic {
    edge: Edge,
    tunnels: Tunnels,
}

impl PeerTraffic {
    /// Of this edge and these tunnels.
    #[must_use]
    pub const fn new(edge: Edge, tunnels: Tunnels) -> Self {
        Self { edge, tunnels }
    }
}

impl Traffic for PeerTraffic {
    fn drained(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) -> BoxFuture<()> {
        let id = routes::id(app, node, replica);
        let (here, there) = (self.edge.routes().drained(&id), self.tunnels.drained(&id));
        Box::pin(async move {
            let ((), ()) = tokio::join!(here, there);
        })
    }

    fn resumed(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) {
        let id = routes::id(app, node, replica);
        self.edge.routes().resumed(&id);
        self.tunnels.resumed(&id);
    }
}
