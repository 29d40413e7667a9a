//! The gate: who may speak what. Asked by the overlay, answered by whoever knows the members.

use types::PublicKey;

/// Says whether a peer may use a protocol here.
///
/// Asked when a peer's handshake is done, before any stream of it is served; again for each stream; and for each
/// datagram. So what it answers counts at once for a peer that is already connected. It must not block: it runs where
/// the packets are handled.
pub trait Gate: Send + Sync + 'static {
    /// Whether `peer`, whose key was proven by the handshake, may use `protocol`: one of those in
    /// [`Config::protocols`](crate::Config::protocols), [`PING`](crate::PING) or [`DATAGRAM`](crate::DATAGRAM).
    ///
    /// The reason of a refusal is told to the peer (its first 200 bytes), so it names nothing secret. A peer that is
    /// not admitted to [`PING`](crate::PING) is a stranger: it may stay for what it was admitted to, but not for
    /// long (see [`Limits`](crate::Limits)).
    fn admits(&self, peer: &PublicKey, protocol: &str) -> Result<(), String>;

    /// Told that messages to a peer were lost: it can't be reached, or the connection broke while some were on their way.
    /// It must not block.
    fn lost(&self, peer: &PublicKey, protocol: &str) {
        let _ = (peer, protocol);
    }

    /// Told that a peer hands over to a successor: streams that are open go on, and whoever keeps some for later use
    /// lets go of them. It must not block.
    fn retired(&self, peer: &PublicKey) {
        let _ = peer;
    }
}

impl<F: Fn(&PublicKey, &str) -> Result<(), String> + Send + Sync + 'static> Gate for F {
    fn admits(&self, peer: &PublicKey, protocol: &str) -> Result<(), String> {
        self(peer, protocol)
    }
}
