//! Peers that speak QUIC and TLS by hand, to speak them badly: what an overlay would never do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyphae::Overlay;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use crate::support::loopback;

/// A peer that was let in, or not.
pub struct Rogue {
    pub endpoint: quinn::Endpoint,
    pub connection: quinn::Connection,
}

impl Rogue {
    /// Dials `victim` for `protocol`, and greets unless told not to.
    pub async fn dial(seed: u8, victim: &Overlay, protocol: &str, greet: bool) -> Self {
        let endpoint = endpoint();
        let config = client(certified(seed, seed), protocol);
        let connecting = endpoint.connect_with(quic(config), victim.addresses()[0], "x.invalid").unwrap();
        let connection = connecting.await.unwrap();
        if greet {
            let mut hello = connection.open_uni().await.unwrap();
            hello.write_all(&[0, 1, 2, 3, 4, 5, 6, 7, 8]).await.unwrap();
            hello.finish().unwrap();
        }
        Self { endpoint, connection }
    }

    /// The code and the reason with which the victim closed.
    pub async fn closed(&self) -> (u64, String) {
        let closed = tokio::time::timeout(Duration::from_secs(20), self.connection.closed());
        match closed.await.expect("it is not closed") {
            quinn::ConnectionError::ApplicationClosed(close) => {
                (close.error_code.into(), String::from_utf8_lossy(&close.reason).into_owned())
            }
            other => panic!("closed otherwise: {other}"),
        }
    }
}

/// An endpoint on loopback that only dials.
pub fn endpoint() -> quinn::Endpoint {
    quinn::Endpoint::client(loopback(0)).unwrap()
}

/// An endpoint that answers dials for `echo` with the key of `claims`, signed by the key of `signs`.
pub fn server(claims: u8, signs: u8) -> (quinn::Endpoint, SocketAddr) {
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(Arc::new(Trusting(Arc::default())))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified(claims, signs))));
    config.alpn_protocols = vec![b"mycelium/1/echo".to_vec()];
    let config = Arc::new(QuicServerConfig::try_from(config).unwrap());
    let endpoint = quinn::Endpoint::server(quinn::ServerConfig::with_crypto(config), loopback(0)).unwrap();
    let address = endpoint.local_addr().unwrap();
    (endpoint, address)
}

/// The TLS of a peer that trusts everybody and would resume sessions.
pub fn client(certified: Arc<CertifiedKey>, protocol: &str) -> rustls::ClientConfig {
    client_counting(certified, protocol, Arc::default())
}

/// The same; counts how often the other side proved a key.
pub fn client_counting(
    certified: Arc<CertifiedKey>,
    protocol: &str,
    proofs: Arc<AtomicUsize>,
) -> rustls::ClientConfig {
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(proofs)))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![format!("mycelium/1/{protocol}").into_bytes()];
    config.resumption = Resumption::in_memory_sessions(16);
    config.enable_early_data = true;
    config
}

pub fn quic(config: rustls::ClientConfig) -> quinn::ClientConfig {
    quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
}

/// The public key of one seed with the signatures of another.
pub fn certified(claims: u8, signs: u8) -> Arc<CertifiedKey> {
    let public = signer(claims).public_key().unwrap().as_ref().to_vec();
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(public)], signer(signs)))
}

fn signer(seed: u8) -> Arc<dyn SigningKey> {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend([seed; 32]);
    aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(der)).unwrap()
}

/// Believes everything, and counts.
#[derive(Debug)]
struct Trusting(Arc<AtomicUsize>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("QUIC has no TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Trusting {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        unreachable!("QUIC has no TLS 1.2")
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
