//! A small HTTP server, over HTTP/1.1 or HTTP/2, and a client.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::machine::Count;

pub type Body = BoxBody<Bytes, Infallible>;

/// A running workload: ended, with all that it has open, when this is dropped.
pub struct Workload {
    pub at: SocketAddr,
    /// Connections that are open.
    pub open: Count,
    /// Connections since the start.
    pub connections: Count,
    /// Requests since the start.
    pub asked: Count,
    /// Lets a `/slow` go on.
    pub go: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct State {
    name: &'static str,
    asked: Count,
    go: Arc<Notify>,
}

/// What every answer has in front of what was asked for.
pub async fn http1(name: &'static str) -> Workload {
    start(name, false).await
}

pub async fn h2c(name: &'static str) -> Workload {
    start(name, true).await
}

async fn start(name: &'static str, http2: bool) -> Workload {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let state = State { name, asked: Count::default(), go: Arc::default() };
    let (open, connections) = (Count::default(), Count::default());
    let (asked, go) = (state.asked.clone(), Arc::clone(&state.go));
    let counts = (open.clone(), connections.clone());
    let task = tokio::spawn(async move {
        let mut serving = tokio::task::JoinSet::new();
        while let Ok((tcp, _)) = listener.accept().await {
            let (state, (open, connections)) = (state.clone(), counts.clone());
            connections.add();
            open.add();
            serving.spawn(async move {
                let service = service_fn(move |request| answer(state.clone(), request));
                let io = TokioIo::new(tcp);
                if http2 {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(io, service).await;
                } else {
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ = server.serve_connection(io, service).with_upgrades().await;
                }
                open.less();
            });
        }
    });
    Workload { at, open, connections, asked, go, task }
}

async fn answer(state: State, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    state.asked.add();
    Ok(match request.uri().path() {
        "/slow" => {
            state.go.notified().await;
            Response::new(full(state.name))
        }
        "/echo" => {
            let body = request.into_body().map_err(|_| unreachable!("the test sends it whole"));
            Response::new(body.boxed())
        }
        "/ws" => {
            let upgrading = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrading.await.unwrap()));
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = tokio::io::AsyncWriteExt::shutdown(&mut write).await;
            });
            let changed = Response::builder().status(101).header("connection", "upgrade");
            changed.header("upgrade", "websocket").body(full("")).unwrap()
        }
        _ => Response::new(full(state.name)),
    })
}

pub fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

/// A body that is sent piece by piece.
pub fn pieces() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let frames = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (Ok(Frame::data(piece)), receiver))
    });
    (sender, StreamBody::new(Box::pin(frames)).boxed())
}

/// A client's connection to an edge.
pub struct Client(SendRequest<Body>);

impl Client {
    pub async fn connect(edge: SocketAddr) -> Self {
        let io = TokioIo::new(TcpStream::connect(edge).await.unwrap());
        let (sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self(sender)
    }

    pub async fn send(&mut self, method: &str, path: &str, body: Body) -> Response<Incoming> {
        let request = Request::builder().method(method).uri(format!("/app{path}")).header("host", "h");
        let request = match path {
            "/ws" => request.header("connection", "upgrade").header("upgrade", "websocket"),
            _ => request,
        };
        self.0.ready().await.unwrap();
        self.0.send_request(request.body(body).unwrap()).await.unwrap()
    }

    /// The status, and the whole answer as text.
    pub async fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let response = self.send(method, path, full(body.to_owned())).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }
}
