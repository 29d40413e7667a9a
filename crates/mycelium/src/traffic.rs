//! How an agent learns that the edge has let go of a replica.

use agent::{BoxFuture, Traffic};
use edge::Edge;
use types::{AppName, NodeName, ReplicaName};

use crate::routes;

/// The edge of this process.
pub(crate) struct EdgeTraffic(pub(crate) Edge);

impl Traffic for EdgeTraffic {
    fn drained(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) -> BoxFuture<()> {
        Box::pin(self.0.routes().drained(&routes::id(app, node, replica)))
    }

    fn resumed(&self, app: &AppName, node: &NodeName, replica: &ReplicaName) {
        self.0.routes().resumed(&routes::id(app, node, replica));
    }
}
