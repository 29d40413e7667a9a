//! Peers that dial us: how many at once, who is let in, and why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Endpoint, Incoming, VarInt};
use tokio::time::timeout;
use types::PublicKey;

use crate::identity::peer_of;
use crate::link::Link;
use crate::shared::Shared;
use crate::{dial, serve, wire};

/// Takes connections at one socket until the overlay closes.
pub async fn run(shared: Arc<Shared>, endpoint: Endpoint) {
    while let Some(Some(incoming)) = shared.closing.run_until_cancelled(endpoint.accept()).await {
        let Some(count) = Count::within(&shared, shared.limits.handshakes, |shared| &shared.handshakes)
        else {
            tracing::warn!(from = ?incoming.remote_address(), "too many handshakes are under way; one was refused");
            incoming.refuse();
            continue;
        };
        let under_way = shared.handshakes.load(Ordering::Relaxed);
        if under_way > shared.limits.handshakes / 2 && !incoming.remote_address_validated() {
            // under pressure an address must be proven before it costs us a handshake (RFC 9000 §8.1.2)
            let _ = incoming.retry();
            continue;
        }
        let admit = admit(Arc::clone(&shared), incoming, count);
        shared.spawn(admit);
    }
}

/// Finishes the handshake, asks the gate, greets, and serves until the connection ends.
async fn admit(shared: Arc<Shared>, incoming: Incoming, handshake: Count) {
    let from = incoming.remote_address();
    let Ok(accepting) = incoming.accept() else { return };
    let connection = match timeout(shared.limits.dial, accepting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => return tracing::debug!(?from, %error, "a handshake failed"),
        Err(_) => return tracing::debug!(?from, "a handshake took too long"),
    };
    let Admitted { peer, stranger, _inbound } = match check(&shared, &connection) {
        Ok(admitted) => admitted,
        Err(Refusal { peer, code, reason }) => {
            let peer = peer.map(tracing::field::display);
            tracing::info!(peer, ?from, %reason, "a peer was refused");
            return connection.close(VarInt::from_u32(code), wire::shorten(&reason).as_bytes());
        }
    };
    let greeted = timeout(shared.limits.dial, dial::greet(&connection, shared.run)).await;
    let Ok(Ok(run)) = greeted else {
        return connection.close(VarInt::from_u32(wire::CODE_GARBAGE), b"that was no greeting");
    };
    drop(handshake);
    let link = Arc::new(Link::new(peer, connection, run, false, shared.epoch));
    link.stranger.store(stranger.is_some(), Ordering::Relaxed);
    serve::enter(&shared, &link);
    serve::run(shared, link).await;
}

/// A peer that was let in, and the places that it takes.
struct Admitted {
    peer: PublicKey,
    /// Its place among the strangers, if it is one.
    stranger: Option<Count>,
    _inbound: Count,
}

/// Who is turned away, and why.
struct Refusal {
    peer: Option<PublicKey>,
    code: u32,
    reason: String,
}

/// Lets a peer in, or turns it away.
fn check(shared: &Arc<Shared>, connection: &Connection) -> Result<Admitted, Refusal> {
    let because = |peer, code, reason: &str| Refusal { peer, code, reason: reason.to_owned() };
    let peer = peer_of(connection);
    let peer = peer.ok_or_else(|| because(None, wire::CODE_GARBAGE, "you proved no key"))?;
    let refused = |reason: &str| because(Some(peer), wire::CODE_REFUSED, reason);
    let data = connection.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
    let alpn = data.and_then(|data| data.protocol).unwrap_or_default();
    let protocol = wire::protocol(&alpn);
    let protocol = protocol.ok_or_else(|| because(Some(peer), wire::CODE_NO_PROTOCOL, "no such protocol"))?;
    shared.gate.admits(&peer, protocol).map_err(|reason| refused(&reason))?;
    let limits = &shared.limits;
    let inbound = Count::within(shared, limits.connections, |shared| &shared.inbound);
    let inbound = inbound.ok_or_else(|| refused("too many connections"))?;
    let stranger = if shared.is_stranger(&peer) {
        let place = Count::within(shared, limits.strangers, |shared| &shared.strangers);
        Some(place.ok_or_else(|| refused("too many strangers are connected; try again later"))?)
    } else {
        None
    };
    Ok(Admitted { peer, stranger, _inbound: inbound })
}

/// One more of something, until it is dropped.
struct Count {
    shared: Arc<Shared>,
    of: fn(&Shared) -> &AtomicUsize,
}

impl Count {
    /// `None` if there are `most` already.
    fn within(shared: &Arc<Shared>, most: usize, of: fn(&Shared) -> &AtomicUsize) -> Option<Self> {
        let before = of(shared).fetch_add(1, Ordering::Relaxed);
        let one = Self { shared: Arc::clone(shared), of };
        (before < most).then_some(one)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        (self.of)(&self.shared).fetch_sub(1, Ordering::Relaxed);
    }
}
