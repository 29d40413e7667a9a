//! A panic in the task of one connection, at the handshake or in the middle of a request: nobody else notices.
//!
//! The panics come from what an edge is given anyway: a certificate resolver, and whoever listens to its log.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::Arc;

use edge::{Edge, Listen};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::http2::{get, http2_over};
use crate::support::{LOCAL, PATIENCE, Raw, config, echo, eventually, nobody, table, target};

/// The server name, and the endpoint, at which somebody panics.
const PANIC: &str = "panic";

/// Knows a certificate for every name but one.
#[derive(Debug)]
struct Resolver(Arc<CertifiedKey>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert_ne!(hello.server_name(), Some(PANIC), "on purpose");
        Some(self.0.clone())
    }
}

/// Hears all that is logged, and panics when it is about one endpoint.
struct Listener;

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut Panicking);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Panicking;

impl Visit for Panicking {
    fn record_str(&mut self, field: &Field, value: &str) {
        assert!((field.name(), value) != ("endpoint", PANIC), "on purpose");
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

async fn connect(
    addr: SocketAddr,
    client: &TlsConnector,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(addr).await.unwrap();
    let name = name.to_owned().try_into().unwrap();
    tokio::time::timeout(PATIENCE, client.connect(name, tcp)).await.unwrap()
}

#[tokio::test]
async fn a_panic_in_a_handshake_ends_one_connection() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), PANIC.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certified = CertifiedKey::from_der(vec![made.cert.der().clone()], key, &provider).unwrap();
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Resolver(Arc::new(certified))));
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = TlsConnector::from(Arc::new(client));
    let mut config = config(1);
    config.tls = Some(Arc::new(server));
    let edge = Edge::new(config);
    edge.routes().set(&table(&[("app", &[target("a", echo("a").await)])]));
    let addr = edge.start_tls(Listen::Bind(LOCAL.parse().unwrap())).unwrap();

    let mut before = Raw::new(connect(addr, &client, "localhost").await.unwrap());
    before.get("/app/1").await.echoed();
    for _ in 0..3 {
        assert!(connect(addr, &client, PANIC).await.is_err());
    }
    before.get("/app/2").await.echoed();
    Raw::new(connect(addr, &client, "localhost").await.unwrap()).get("/app/3").await.echoed();
    eventually("only one is left", || edge.stats().connections == 1).await;
    drop(before);
    assert_eq!(edge.stop(PATIENCE).await, 0, "the worker ends as it is told to");
}

#[tokio::test]
async fn a_panic_in_a_request_ends_one_connection() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let edge = Edge::new(config(1));
    let apps: [(&str, &[_]); 2] =
        [("app", &[target("a", echo("a").await)]), ("ill", &[target(PANIC, nobody())])];
    edge.routes().set(&table(&apps));
    let addr = edge.start(Listen::Bind(LOCAL.parse().unwrap())).unwrap();

    let mut before = Raw::connect(addr).await;
    before.get("/app/1").await.echoed();
    let mut multiplexed = http2_over(TcpStream::connect(addr).await.unwrap()).await;
    assert_eq!(get(&mut multiplexed, addr, "/app/1").await.0, 200);
    // That nobody listens there is logged in the middle of the exchange.
    let mut ill = Raw::connect(addr).await;
    ill.send(b"GET /ill/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(ill.message().await, None);
    before.get("/app/2").await.echoed();
    assert_eq!(get(&mut multiplexed, addr, "/app/2").await.0, 200);
    Raw::connect(addr).await.get("/app/3").await.echoed();
    eventually("the others are left", || edge.stats().connections == 2).await;
    edge.routes().drained(PANIC).await;
    drop((before, multiplexed));
    assert_eq!(edge.stop(PATIENCE).await, 0, "the worker ends as it is told to");
}
