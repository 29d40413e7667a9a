//! A client of the local API: what the CLI speaks.
//!
//! One connection a request: to the socket of this machine, where a dead daemon is noticed at once, or over the
//! overlay to a node elsewhere, where the operator's key is the identity.

mod mesh;
mod remote;

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyphae::Overlay;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use types::{AppName, Digest, PublicKey};

use crate::api;
use crate::body::Chunks;

/// The most bytes of one answer that isn't a stream.
const MAX_ANSWER: usize = 64 << 20;

use remote::Peer;
pub use remote::Remote;

/// A client of one mesh; cheap to make, connects per request.
#[derive(Debug, Clone)]
pub struct Client {
    /// The socket, or what stands for it in messages about a mesh elsewhere.
    socket: PathBuf,
    way: Way,
}

/// How to get there.
#[derive(Debug, Clone)]
enum Way {
    /// By the socket.
    Here,
    /// From a machine that is no node.
    Elsewhere(Remote),
    /// From one node to another.
    Peer(Peer),
}

/// Bytes both ways.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Why a call got no answer that counts.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there.
    #[error("no mesh is running in {}", .0.display())]
    NotRunning(PathBuf),
    /// The socket exists, but may not be opened, or broke off.
    #[error("talk to the mesh at {}: {source}", .socket.display())]
    Io {
        /// Which socket.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The mesh refused.
    #[error("{}", .body.error)]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Its reason and hint.
        body: api::ErrorBody,
    },
    /// The answer is not what this version expects.
    #[error("understand the answer of the mesh at {}: {reason}", .socket.display())]
    Protocol {
        /// Which socket.
        socket: PathBuf,
        /// What was wrong.
        reason: String,
    },
}

/// A stream of JSON values, one a line.
pub struct Lines<T> {
    body: Incoming,
    buffer: Vec<u8>,
    socket: PathBuf,
    kind: std::marker::PhantomData<fn() -> T>,
}

type Body = BoxBody<Bytes, io::Error>;

fn empty() -> Body {
    full(Bytes::new())
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

impl Client {
    /// A client of the mesh whose API listens on `socket`.
    #[must_use]
    pub fn new(socket: PathBuf) -> Self {
        Self { socket, way: Way::Here }
    }

    /// A client of the mesh that these nodes belong to.
    #[must_use]
    pub fn remote(remote: Remote) -> Self {
        Self { socket: PathBuf::from(remote.to_string()), way: Way::Elsewhere(remote) }
    }

    /// A client of what another node tells nodes.
    pub(crate) fn of_peer(overlay: Overlay, key: PublicKey) -> Self {
        Self { socket: PathBuf::from(key.to_string()), way: Way::Peer(Peer { overlay, key }) }
    }

    /// The socket it talks to.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Which `mesh` runs there.
    pub async fn version(&self) -> Result<api::VersionInfo, ClientError> {
        self.get("/v1/version").await
    }

    /// The whole picture.
    pub async fn status(&self) -> Result<api::MeshStatus, ClientError> {
        self.get("/v1/status").await
    }

    /// The records that the node ended over.
    pub async fn quarantine(&self) -> Result<Vec<api::Quarantined>, ClientError> {
        self.get("/v1/quarantine").await
    }

    /// Lets a record out of quarantine; whether it was there.
    pub async fn release(&self, id: &Digest) -> Result<bool, ClientError> {
        self.call(Method::POST, "/v1/quarantine/release", full(encode(id))).await
    }

    /// One app.
    pub async fn app(&self, app: &AppName) -> Result<api::AppStatus, ClientError> {
        self.get(&format!("/v1/apps/{app}")).await
    }

    /// How much an app's replicas need.
    pub async fn advice(&self, app: &AppName) -> Result<api::Advice, ClientError> {
        self.get(&format!("/v1/apps/{app}/advice")).await
    }

    /// Why an app is as it is.
    pub async fn why(&self, app: &AppName) -> Result<api::Why, ClientError> {
        self.get(&format!("/v1/apps/{app}/why")).await
    }

    /// The plan of an app, and the generation of the next one.
    pub async fn plan(&self, app: &AppName) -> Result<api::PlanAt, ClientError> {
        self.get(&format!("/v1/apps/{app}/plan")).await
    }

    /// The budget of an app, and the generation of the next one.
    pub async fn budget(&self, app: &AppName) -> Result<api::BudgetAt, ClientError> {
        self.get(&format!("/v1/apps/{app}/budget")).await
    }

    /// Submits a signed record in wire form.
    pub async fn submit(&self, record: Vec<u8>) -> Result<api::Receipt, ClientError> {
        self.call(Method::POST, "/v1/records", full(record)).await
    }

    /// Every spore of the mesh's repo.
    pub async fn spores(&self) -> Result<Vec<api::SporeInfo>, ClientError> {
        self.get("/v1/spores").await
    }

    /// One spore of the mesh's repo.
    pub async fn spore(&self, digest: &Digest) -> Result<api::SporeInfo, ClientError> {
        self.get(&format!("/v1/spores/{digest}")).await
    }

    /// Stores the spore that `file` holds.
    pub async fn put_spore(&self, file: std::fs::File) -> Result<api::Stored, ClientError> {
        self.call(Method::POST, "/v1/spores", stream_file(file)).await
    }

    /// Removes spores that no plan names.
    pub async fn collect_spores(&self) -> Result<api::Collected, ClientError> {
        self.call(Method::POST, "/v1/spores/gc", empty()).await
    }

    /// Asks the mesh to stop. It has heard when this returns, and has stopped when its process ends.
    pub async fn stop(&self) -> Result<api::VersionInfo, ClientError> {
        self.call(Method::POST, "/v1/shutdown", full(encode(&api::Shutdown::Stop))).await
    }

    /// Asks the mesh to let go of its state for a successor; it has when the first line is there. Dropping
    /// the lines before it is told to end means that there is no successor.
    pub async fn hand_over(&self) -> Result<Lines<api::VersionInfo>, ClientError> {
        let body = self.send(Method::POST, "/v1/shutdown", full(encode(&api::Shutdown::HandOver))).await?;
        Ok(self.lines_of(body))
    }

    /// Events, oldest first.
    pub async fn events(&self, query: &api::EventQuery) -> Result<Lines<telemetry::Event>, ClientError> {
        let app = query.app.as_ref().map(|app| format!("&app={app}")).unwrap_or_default();
        let tail = query.tail.map(|n| format!("&tail={n}")).unwrap_or_default();
        self.lines(&format!("/v1/events?since={}&follow={}{app}{tail}", query.since, query.follow)).await
    }

    /// Log lines of an app's replicas.
    pub async fn logs(
        &self,
        app: &AppName,
        query: &api::LogQuery,
    ) -> Result<Lines<api::LogLine>, ClientError> {
        let tail = query.tail.map(|n| format!("&tail={n}")).unwrap_or_default();
        let replica = query.replica.as_ref().map(|r| format!("&replica={r}")).unwrap_or_default();
        let here = if query.here { "&here=true" } else { "" };
        self.lines(&format!("/v1/logs/{app}?follow={}{tail}{replica}{here}", query.follow)).await
    }

    /// What an app's replicas do, from now on.
    pub async fn trace(
        &self,
        app: &AppName,
        query: &api::TraceQuery,
    ) -> Result<Lines<api::Trace>, ClientError> {
        let replica = query.replica.as_ref().map(|r| format!("&replica={r}")).unwrap_or_default();
        self.lines(&format!("/v1/trace/{app}?here={}{replica}", query.here)).await
    }

    /// What replicas use, node by node.
    pub async fn usage(&self, query: &api::UsageQuery) -> Result<Vec<api::NodeUsage>, ClientError> {
        let app = query.app.as_ref().map(|app| format!("&app={app}")).unwrap_or_default();
        self.get(&format!("/v1/usage?here={}{app}", query.here)).await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, empty()).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<T, ClientError> {
        let answer = self.send(method, path, body).await?;
        let bytes = self.collect(answer).await?;
        serde_json::from_slice(&bytes).map_err(|e| self.protocol(&e.to_string()))
    }

    async fn lines<T: DeserializeOwned>(&self, path: &str) -> Result<Lines<T>, ClientError> {
        Ok(self.lines_of(self.send(Method::GET, path, empty()).await?))
    }

    fn lines_of<T>(&self, body: Incoming) -> Lines<T> {
        Lines { body, buffer: Vec::new(), socket: self.socket.clone(), kind: std::marker::PhantomData }
    }

    async fn send(&self, method: Method, path: &str, body: Body) -> Result<Incoming, ClientError> {
        let io: Box<dyn Duplex> = match &self.way {
            Way::Here => Box::new(connect(&self.socket).await.map_err(|e| self.io(e))?),
            Way::Elsewhere(remote) => Box::new(remote.connect().await.map_err(|e| self.io(e))?),
            Way::Peer(peer) => Box::new(peer.connect().await.map_err(|e| self.io(e))?),
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io))
            .await
            .map_err(|e| self.protocol(&e.to_string()))?;
        // Ends with the request: it holds nothing but this one connection.
        tokio::spawn(async move { drop(connection.await) });
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, "mesh")
            .header(http::header::CONTENT_TYPE, content_type(path))
            .body(body)
            .map_err(|e| self.protocol(&e.to_string()))?;
        let answer = sender.send_request(request).await.map_err(|e| self.protocol(&e.to_string()))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer.into_body());
        }
        let bytes = self.collect(answer.into_body()).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| api::ErrorBody {
            error: format!("{status}: {}", String::from_utf8_lossy(&bytes)),
            hint: None,
        });
        Err(ClientError::Refused { status, body })
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, ClientError> {
        let limited = http_body_util::Limited::new(body, MAX_ANSWER);
        let whole = limited.collect().await.map_err(|e| self.protocol(&e.to_string()))?;
        Ok(whole.to_bytes())
    }

    fn io(&self, source: io::Error) -> ClientError {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused if matches!(self.way, Way::Here) => {
                ClientError::NotRunning(self.socket.parent().unwrap_or(&self.socket).to_owned())
            }
            _ => ClientError::Io { socket: self.socket.clone(), source },
        }
    }

    fn protocol(&self, reason: &str) -> ClientError {
        ClientError::Protocol { socket: self.socket.clone(), reason: reason.to_owned() }
    }
}

impl<T: DeserializeOwned> Lines<T> {
    /// The next value; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<T>, ClientError> {
        let protocol =
            |socket: &Path, reason: String| ClientError::Protocol { socket: socket.to_owned(), reason };
        loop {
            if let Some(end) = self.buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                let value =
                    serde_json::from_slice(&line).map_err(|e| protocol(&self.socket, e.to_string()))?;
                return Ok(Some(value));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(e)) => return Err(protocol(&self.socket, e.to_string())),
            }
        }
    }
}

/// The API's bodies are JSON but for those that have a form of their own.
fn content_type(path: &str) -> &'static str {
    match path {
        "/v1/records" | "/v1/spores" => "application/octet-stream",
        _ => "application/json",
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data always serialises")
}

/// Connects through the folder's descriptor, since a socket's path may not be longer than 107 bytes.
async fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let dir = std::fs::File::open(dir)?;
    let short = crate::paths::by_descriptor(&dir, name);
    UnixStream::connect(short).await
}

fn stream_file(file: std::fs::File) -> Body {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        let mut file = file;
        loop {
            let mut chunk = vec![0; 256 << 10];
            let piece = io::Read::read(&mut file, &mut chunk).map(|n| {
                chunk.truncate(n);
                Bytes::from(chunk)
            });
            let last = !matches!(&piece, Ok(bytes) if !bytes.is_empty());
            if matches!(&piece, Ok(bytes) if bytes.is_empty()) || sender.blocking_send(piece).is_err() || last
            {
                break;
            }
        }
    });
    Chunks::new(receiver).boxed()
}
