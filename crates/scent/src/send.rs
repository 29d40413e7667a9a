//! One connection to the collector, made when it is needed: gRPC (HTTP/2) or HTTP/1.1 with the same messages.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::endpoint::Protocol;
use crate::{Kind, Settings};

/// The longest answer that is read.
const ANSWER: usize = 64 * 1024;
/// The longest reason that is shown.
const REASON: usize = 200;

/// Why a request wasn't taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It may be later.
    Now(String),
    /// It never will be.
    Ever(String),
}

/// Who sends requests of one kind.
pub(crate) struct Sender {
    settings: Arc<Settings>,
    tls: Option<Arc<ClientConfig>>,
    kind: Kind,
    connection: Option<Connection>,
}

struct Connection {
    wire: Wire,
    _driver: Driver,
}

enum Wire {
    Grpc(http2::SendRequest<Full<Bytes>>),
    Http(http1::SendRequest<Full<Bytes>>),
}

/// What moves a connection's bytes, for as long as that is wanted.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Sender {
    pub(crate) fn new(settings: Arc<Settings>, tls: Option<Arc<ClientConfig>>, kind: Kind) -> Self {
        Self { settings, tls, kind, connection: None }
    }

    pub(crate) fn endpoint(&self) -> &crate::Endpoint {
        &self.settings.endpoint
    }

    /// Sends a message; gives back what the collector says of it.
    pub(crate) async fn send(&mut self, message: &Bytes) -> Result<Bytes, Refused> {
        let limit = self.settings.timeout;
        let sent = timeout(limit, self.exchange(message)).await;
        let sent = sent.unwrap_or_else(|_| Err(Refused::Now(format!("it did not answer within {limit:?}"))));
        if matches!(sent, Err(Refused::Now(_))) {
            self.connection = None;
        }
        sent
    }

    async fn exchange(&mut self, message: &Bytes) -> Result<Bytes, Refused> {
        let broke = |error: hyper::Error| Refused::Now(format!("the connection broke: {error}"));
        if !self.connection.as_ref().is_some_and(Connection::is_open) {
            self.connection = Some(self.connect().await.map_err(Refused::Now)?);
        }
        let request = self.request(message);
        match self.connection.as_mut().map(|connection| &mut connection.wire) {
            Some(Wire::Grpc(sender)) => grpc_answer(sender.send_request(request).await.map_err(broke)?).await,
            Some(Wire::Http(sender)) => http_answer(sender.send_request(request).await.map_err(broke)?).await,
            None => Err(Refused::Now("there is no connection".to_owned())),
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let endpoint = &self.settings.endpoint;
        let failed = |error: &dyn std::fmt::Display| format!("failed to connect: {error}");
        let socket = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await;
        let socket = socket.map_err(|error| failed(&error))?;
        // It works without, only slower.
        let _ = socket.set_nodelay(true);
        let Some(tls) = &self.tls else { return handshake(socket, endpoint.protocol).await };
        let mut config = ClientConfig::clone(tls);
        let protocol: &[u8] = if endpoint.protocol == Protocol::Grpc { b"h2" } else { b"http/1.1" };
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(endpoint.host.clone()).map_err(|error| failed(&error))?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await;
        handshake(stream.map_err(|error| failed(&error))?, endpoint.protocol).await
    }

    fn request(&self, message: &Bytes) -> Request<Full<Bytes>> {
        let endpoint = &self.settings.endpoint;
        let scheme = if endpoint.tls { "https" } else { "http" };
        let (uri, body) = match endpoint.protocol {
            Protocol::Grpc => {
                let service = match self.kind {
                    Kind::Traces => "trace.v1.TraceService",
                    Kind::Metrics => "metrics.v1.MetricsService",
                    Kind::Logs => "logs.v1.LogsService",
                };
                let path = format!("/opentelemetry.proto.collector.{service}/Export");
                (format!("{scheme}://{}{path}", endpoint.authority()), framed(message))
            }
            Protocol::Http => (format!("{}/v1/{}", endpoint.base, self.kind.as_str()), message.clone()),
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = http::Method::POST;
        // Made of what was read as a URL before.
        *request.uri_mut() = uri.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.extend(self.settings.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        match endpoint.protocol {
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
            }
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
                if let Ok(host) = HeaderValue::from_str(&endpoint.authority()) {
                    headers.insert(HOST, host);
                }
            }
        }
        request
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        match &self.wire {
            Wire::Grpc(sender) => !sender.is_closed(),
            Wire::Http(sender) => sender.is_ready(),
        }
    }
}

async fn handshake<S>(socket: S, protocol: Protocol) -> Result<Connection, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let io = TokioIo::new(socket);
    let failed = |error: hyper::Error| format!("failed to connect: {error}");
    match protocol {
        Protocol::Grpc => {
            let (sender, driven) = http2::handshake(TokioExecutor::new(), io).await.map_err(failed)?;
            Ok(Connection { wire: Wire::Grpc(sender), _driver: Driver(tokio::spawn(driven).abort_handle()) })
        }
        Protocol::Http => {
            let (sender, driven) = http1::handshake(io).await.map_err(failed)?;
            Ok(Connection { wire: Wire::Http(sender), _driver: Driver(tokio::spawn(driven).abort_handle()) })
        }
    }
}

/// As gRPC has it on the wire: not compressed, so long.
fn framed(message: &Bytes) -> Bytes {
    let mut body = BytesMut::with_capacity(message.len() + 5);
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.extend_from_slice(message);
    body.freeze()
}

async fn grpc_answer(response: Response<Incoming>) -> Result<Bytes, Refused> {
    let (parts, body) = response.into_parts();
    if parts.status != StatusCode::OK {
        return Err(of_http(parts.status, &[]));
    }
    // An answer without a message has its status in its head.
    if parts.headers.contains_key("grpc-status") {
        return of_grpc(&parts.headers).map(|()| Bytes::new());
    }
    let collected = Limited::new(body, ANSWER).collect().await;
    let collected = collected.map_err(|error| Refused::Now(format!("its answer broke off: {error}")))?;
    of_grpc(&collected.trailers().cloned().unwrap_or_default())?;
    let bytes = collected.to_bytes();
    // Compression wasn't asked for.
    Ok(if bytes.len() >= 5 { bytes.slice(5..) } else { Bytes::new() })
}

/// What a status means (OTLP, "Failures"): these codes may be tried again.
fn of_grpc(headers: &HeaderMap) -> Result<(), Refused> {
    let code = headers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse::<u32>().ok());
    let message = headers.get("grpc-message").map(HeaderValue::as_bytes).unwrap_or_default();
    let said = |code: u32| format!("it refused with the gRPC status {code}: {}", printable(message));
    match code {
        Some(0) => Ok(()),
        Some(code @ (1 | 4 | 8 | 10 | 11 | 14 | 15)) => Err(Refused::Now(said(code))),
        Some(code) => Err(Refused::Ever(said(code))),
        None => Err(Refused::Now("its answer has no gRPC status".to_owned())),
    }
}

async fn http_answer(response: Response<Incoming>) -> Result<Bytes, Refused> {
    let status = response.status();
    let collected = Limited::new(response.into_body(), ANSWER).collect().await;
    let bytes = collected.map_err(|error| Refused::Now(format!("its answer broke off: {error}")))?.to_bytes();
    if status.is_success() { Ok(bytes) } else { Err(of_http(status, &bytes)) }
}

fn of_http(status: StatusCode, body: &[u8]) -> Refused {
    let said = format!("it refused with the status {}: {}", status.as_u16(), printable(body));
    match status.as_u16() {
        429 | 502 | 503 | 504 => Refused::Now(said),
        _ => Refused::Ever(said),
    }
}

fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(REASON)]);
    text.chars().filter(|c| !c.is_control()).collect()
}
