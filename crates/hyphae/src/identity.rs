//! The node's key as TLS and QUIC want it: a raw Ed25519 public key (RFC 7250, RFC 8410), and what is derived from its
//! secret.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::{hkdf, hmac};
use quinn::Connection;
use rustls::crypto::aws_lc_rs::sign::any_eddsa_type;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use types::PublicKey;
use zeroize::Zeroizing;

use crate::StartError;

/// What stands before the 32 bytes of an Ed25519 public key in its SubjectPublicKeyInfo (RFC 8410 §4).
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// What stands before the 32 bytes of an Ed25519 seed in its PKCS #8 form (RFC 8410 §7).
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A node's own key.
pub struct Identity {
    /// Its public half.
    pub me: PublicKey,
    /// With which handshakes are signed.
    pub signer: Arc<CertifiedKey>,
    /// From which other secrets are derived (RFC 5869).
    root: hkdf::Prk,
}

impl Identity {
    /// From the seed of the key (RFC 8032 §5.1.5).
    pub fn new(seed: &[u8; 32]) -> Result<Self, StartError> {
        let mut private = Zeroizing::new([0; 48]);
        private[..16].copy_from_slice(&PKCS8);
        private[16..].copy_from_slice(seed);
        let failed = |error: rustls::Error| StartError::Transport(error.to_string());
        let signer = any_eddsa_type(&PrivatePkcs8KeyDer::from(&private[..])).map_err(failed)?;
        let public = signer.public_key().map(|spki| spki.as_ref().to_vec()).unwrap_or_default();
        let me = key_of(&public)?;
        let signer = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], signer));
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"mycelium/hyphae").extract(seed);
        Ok(Self { me, signer, root })
    }

    /// The key of the stateless resets (RFC 9000 §10.3) of the socket at `address`.
    ///
    /// It is the same after a restart, so a peer with an old connection is told at once that nobody knows it any more. It
    /// is another one for each socket: else a packet sent to another address of this node would fetch the reset of a
    /// living connection (§21.11).
    pub fn reset_key(&self, address: SocketAddr) -> Result<hmac::Key, StartError> {
        let address = address.to_string();
        let mut bytes = Zeroizing::new([0; 32]);
        let purpose = [b"stateless reset ", address.as_bytes()];
        self.root
            .expand(&purpose, hkdf::HKDF_SHA256)
            .and_then(|derived| derived.fill(&mut bytes[..]))
            .map_err(|_| StartError::Transport("no key could be derived from the node's".to_owned()))?;
        Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes[..]))
    }
}

/// The key in a SubjectPublicKeyInfo; bytes of another form are an error, as if they were a key of that length.
pub fn key_of(spki: &[u8]) -> Result<PublicKey, types::KeyError> {
    PublicKey::from_bytes(spki.strip_prefix(&SPKI).unwrap_or_default())
}

/// The key that the other end proved in the handshake.
pub fn peer_of(connection: &Connection) -> Option<PublicKey> {
    let proven = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    key_of(proven.first()?).ok()
}

#[cfg(test)]
mod tests;
