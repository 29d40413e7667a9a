//! Doubt: connections to a peer that others call dead are asked for a sign of life, and ended without one.
//!
//! The transport would give up by itself, but only after so long that whoever waits on a stream has given up before.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::link::Link;
use crate::overlay::ping_on;
use crate::wire;

/// How long a peer has to say anything at all.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was on its way may come after the peer's end; so it is asked again.
const TRIES: usize = 4;

/// Ends the connection unless a packet comes over it in time.
pub async fn check(link: Arc<Link>) {
    let heard = || link.connection.stats().udp_rx.datagrams;
    for _ in 0..TRIES {
        let before = heard();
        // Also a ping that waits for its turn has the peer say something.
        if matches!(timeout(PATIENCE, ping_on(&link)).await, Ok(Ok(()))) || !link.is_open() {
            return;
        }
        if heard() == before {
            tracing::debug!(peer = %link.peer, "a connection is silent, and its peer is said to be dead");
            return link.close(wire::CODE_DONE, "you did not answer");
        }
    }
}
