//! TLS 1.3 for both ends (RFC 8446, RFC 9001): one provider, raw keys, and no way around proving them.
//!
//! No session is resumed and nothing is sent before the handshake is done (0-RTT): each connection proves both keys anew,
//! and who is no longer admitted has no ticket that says otherwise.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connecting, Endpoint, TransportConfig};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use types::PublicKey;

use crate::identity::Identity;
use crate::verify::{Anybody, Dialled};
use crate::wire;

/// TLS wants a name; ours are the keys, and it is not sent (see RFC 6761 §6.4 for `invalid`).
const NAME: &str = "node.invalid";

/// What handshakes are made of.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    identity: Identity,
}

impl Tls {
    pub fn new(identity: Identity) -> Self {
        Self { provider: Arc::new(aws_lc_rs::default_provider()), identity }
    }

    /// For answering, with the names of protocols that are served.
    pub fn server<'a>(&self, protocols: impl Iterator<Item = &'a str>) -> Result<QuicServerConfig, String> {
        let anybody = Anybody { algorithms: self.provider.signature_verification_algorithms };
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .with_client_cert_verifier(Arc::new(anybody))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(
                &self.identity.signer,
            ))));
        // ours counts: the protocol itself if it is served, else the name that fits all
        config.alpn_protocols = protocols.map(wire::alpn).chain([wire::ALPN.to_vec()]).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        QuicServerConfig::try_from(config).map_err(|error| error.to_string())
    }

    /// Dials `peer` at `address`. Who else answers there stands in the second value then.
    pub fn dial(
        &self,
        endpoint: &Endpoint,
        transport: &Arc<TransportConfig>,
        peer: PublicKey,
        address: SocketAddr,
        protocol: &str,
    ) -> Result<(Connecting, Arc<Dialled>), String> {
        let algorithms = self.provider.signature_verification_algorithms;
        let dialled = Arc::new(Dialled { peer, algorithms, other: OnceLock::new() });
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&dialled) as _)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(
                &self.identity.signer,
            ))));
        config.alpn_protocols = vec![wire::alpn(protocol), wire::ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        let config = QuicClientConfig::try_from(config).map_err(|error| error.to_string())?;
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        config.transport_config(Arc::clone(transport));
        let connecting = endpoint.connect_with(config, address, NAME).map_err(|error| error.to_string())?;
        Ok((connecting, dialled))
    }

    /// This node's key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}
