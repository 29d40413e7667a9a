//! Ways: where nodes are, as seen from this process.

use types::{NodeName, PublicKey};

use super::Tunnels;

/// Where a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Site {
    /// In this process: its replicas listen on this machine's loopback.
    Here,
    /// Another machine, known to live: the key of the node, by which the overlay reaches it.
    There(PublicKey),
    /// Unknown, or known to be down: nothing is sent to it.
    Nowhere,
}

/// How the edge of this process gets to replicas.
pub struct Ways {
    site: Box<dyn Fn(&NodeName) -> Site + Send + Sync>,
    tunnels: Option<Tunnels>,
}

impl Ways {
    /// All nodes are in this process.
    #[must_use]
    pub fn alone() -> Self {
        Self { site: Box::new(|_| Site::Here), tunnels: None }
    }

    /// `site` says where a node is; whoever changes its answer [touches](fabric::Fabric::touch) the store.
    #[must_use]
    pub fn over(tunnels: Tunnels, site: impl Fn(&NodeName) -> Site + Send + Sync + 'static) -> Self {
        Self { site: Box::new(site), tunnels: Some(tunnels) }
    }

    pub(crate) fn site(&self, node: &NodeName) -> Site {
        (self.site)(node)
    }

    pub(crate) const fn tunnels(&self) -> Option<&Tunnels> {
        self.tunnels.as_ref()
    }
}
