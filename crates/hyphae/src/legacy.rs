//! What one run of a node leaves to the next: its sockets, and the word to its peers that new streams are for the other.
//!
//! ```text
//! before:  bequeath ──▶ sockets, relays (kept by whoever starts the successor)     ... serves on
//! after:                  succeed ──▶ begin ──▶ (before) leaves the sockets, tells its peers, says so ──▶ dials, serves
//! ```

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use crate::line::{Before, Heir};
use crate::shared::Shared;
use crate::wire::RETIRE;

/// How long peers may take to acknowledge that they were told. Whoever is later may find its connection replaced with
/// streams on it.
const TELLING: Duration = Duration::from_secs(2);

/// Sockets of the run before, each with the end of a relay.
pub struct Legacy(Vec<(UdpSocket, OwnedFd)>);

impl Legacy {
    /// From what [`crate::Overlay::bequeath`] gave.
    pub fn of(left: Vec<OwnedFd>) -> Self {
        let mut left = left.into_iter();
        let mut pairs = Vec::new();
        while let (Some(socket), Some(relay)) = (left.next(), left.next()) {
            pairs.push((UdpSocket::from(socket), relay));
        }
        Self(pairs)
    }

    /// The socket at `address`, if there is one, which the run before reads no more.
    pub async fn take(&mut self, address: SocketAddr) -> Option<(UdpSocket, Option<Before>)> {
        let fits =
            |at: SocketAddr| at.ip() == address.ip() && (address.port() == 0 || at.port() == address.port());
        let found = self.0.iter().position(|(socket, _)| socket.local_addr().is_ok_and(fits))?;
        let (socket, relay) = self.0.swap_remove(found);
        Some((socket, Before::begin(relay).await))
    }
}

/// Once the successor reads the sockets: sends the peers to it, and tells it when they know.
pub async fn retire(shared: Arc<Shared>, heirs: Vec<Heir>) {
    let came = join_all(heirs.iter().map(Heir::comes)).await;
    if !came.contains(&true) {
        return;
    }
    let links: Vec<_> = {
        let mut table = shared.table();
        table.retired = true;
        table.peers.values().flat_map(|entry| entry.links.clone()).filter(|link| link.is_open()).collect()
    };
    links.iter().for_each(|link| link.release());
    let told = links.iter().map(|link| timeout(TELLING, link.tell(RETIRE)));
    let silent = join_all(told).await.into_iter().filter(Result::is_err).count();
    tracing::debug!(peers = links.len(), silent, "peers were sent to the successor");
    heirs.iter().for_each(Heir::told);
}
