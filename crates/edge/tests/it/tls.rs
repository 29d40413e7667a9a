//! The same over TLS: HTTP/1.1 and HTTP/2 by ALPN.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use edge::{Edge, Limits, Listen};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::http2::{get, http2_over};
use crate::support::{LOCAL, Raw, config, echo, eventually, table, target};

async fn edge_over_tls(limits: Limits) -> (Edge, SocketAddr, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut config = config(1);
    config.tls = Some(Arc::new(server));
    config.limits = limits;
    let edge = Edge::new(config);
    edge.routes().set(&table(&[("app", &[target("a", echo("a").await)])]));
    let addr = edge.start_tls(Listen::Bind(LOCAL.parse().unwrap())).unwrap();
    (edge, addr, TlsConnector::from(Arc::new(client)))
}

async fn connect(addr: SocketAddr, connector: &TlsConnector, alpn: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut config = (**connector.config()).clone();
    config.alpn_protocols = alpn.iter().map(|p| p.to_vec()).collect();
    let tcp = TcpStream::connect(addr).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), tcp).await.unwrap()
}

#[tokio::test]
async fn http1_and_http2_over_tls() {
    let (_edge, addr, connector) = edge_over_tls(Limits::default()).await;
    for alpn in [&[][..], &[&b"http/1.1"[..]][..]] {
        let mut client = Raw::new(connect(addr, &connector, alpn).await);
        for size in [0, 10, 100_000, 1_000_000] {
            let body = "x".repeat(size);
            let request = format!("POST /app/ HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n{body}");
            let got = client.ask(&request).await.echoed();
            assert_eq!((got.body.len(), got.field("x-forwarded-proto")), (size, Some("https")));
        }
    }
    let stream = connect(addr, &connector, &[b"h2", b"http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = http2_over(stream).await;
    for _ in 0..10 {
        let (status, _, text) = get(&mut client, addr, "/app/").await;
        assert_eq!((status, text.contains("x-forwarded-proto: https")), (200, true), "{text}");
    }
}

#[tokio::test]
async fn handshakes_that_do_not_end_are_dropped_and_plain_http_is_refused() {
    let limits = Limits { head_time: Duration::from_secs(3), ..Limits::default() };
    let (edge, addr, connector) = edge_over_tls(limits).await;
    let mut silent = Raw::connect(addr).await;
    assert!(!silent.more().await);
    let mut plain = Raw::connect(addr).await;
    plain.send(b"GET /app/ HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(plain.message().await, None);
    let mut after = Raw::new(connect(addr, &connector, &[b"h2"]).await);
    assert!(!after.rest().await.starts_with(b"HTTP"), "an HTTP/2 client that says nothing");
    eventually("all are dropped", || edge.stats().connections == 0).await;
}
