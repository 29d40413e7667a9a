//! A client that speaks TLS: it trusts one certificate file, and says what it was shown.

use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A response, and what the handshake before it came to.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    pub body: String,
    /// The protocol that both sides agreed on.
    pub alpn: String,
    /// The chain that the server showed, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
}

/// `GET path` at an `https://` base URL, offering these protocols. The server must prove to be `name` by a chain
/// that ends at a certificate of the file `trusted`.
pub fn ask(url: &str, name: &str, trusted: &Path, alpn: &[&str], path: &str) -> std::io::Result<Seen> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(exchange(url, name, &connector(trusted, alpn), path))
}

/// The certificates of a PEM file.
pub fn certificates(path: &Path) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap).collect()
}

fn connector(trusted: &Path, alpn: &[&str]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in certificates(trusted) {
        roots.add(certificate).unwrap();
    }
    let mut config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

async fn exchange(url: &str, name: &str, connector: &TlsConnector, path: &str) -> std::io::Result<Seen> {
    let tcp = TcpStream::connect(url.strip_prefix("https://").unwrap()).await?;
    let stream = connector.connect(ServerName::try_from(name.to_owned()).unwrap(), tcp).await?;
    let session = stream.get_ref().1;
    let alpn = String::from_utf8(session.alpn_protocol().unwrap_or_default().to_vec()).unwrap();
    let chain = session.peer_certificates().unwrap().iter().map(|c| c.clone().into_owned()).collect();
    let request = Request::get(if alpn == "h2" { format!("{url}{path}") } else { path.to_owned() })
        .header("host", url.strip_prefix("https://").unwrap())
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response: Response<Incoming> = if alpn == "h2" {
        let (mut sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    } else {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(request).await.unwrap()
    };
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Ok(Seen { status, body: String::from_utf8(body.to_vec()).unwrap(), alpn, chain })
}
