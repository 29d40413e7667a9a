//! A client's HTTP/2 connection, and each request on it.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::uri::PathAndQuery;
use http::{HeaderValue, StatusCode};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};

use super::Local;
use super::body::{Progress, Relayed, Source};
use super::fields::{self, Added};
use super::forward::{self, Call};
use super::pressure::{Noted, Pressure, Share};
use crate::http1::answer::Answer;
use crate::http1::ask::find;
use crate::http1::request::Method;
use crate::http1::target::{self, is_host};
use crate::io::{Prefixed, Stream};
use crate::trace::{Draft, Shown};
use crate::worker::Worker;
use crate::worker::view::Service;
use crate::worker::watch::{Phase, millis};

/// What a client may have on the way on one stream, and on all of a connection.
const WINDOW: u32 = 256 * 1024;
/// How often a silent connection is asked whether it lives, and how long it has to answer.
const ALIVE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(10));
/// How long a connection that was told to end may take when nothing is open on it.
const LAST: Duration = Duration::from_secs(1);

/// What the requests of one connection share.
struct Connection {
    worker: Rc<Worker>,
    peer: String,
    scheme: &'static str,
    pressure: Rc<Pressure>,
}

/// Counts a request as open on its connection.
struct OpenRequest(Rc<Connection>);

impl OpenRequest {
    fn new(connection: Rc<Connection>, now: Instant) -> Self {
        let worker = &connection.worker;
        let silence = millis(worker.config.limits.silence);
        if connection.pressure.open() == 0 {
            connection.pressure.watch.renew(worker.config.limits.rate_grace);
        }
        connection.pressure.watch.patience(silence);
        connection.pressure.watch.until(Phase::Tunnel, worker.now(now) + silence);
        connection.pressure.begin();
        Self(connection)
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let Connection { worker, pressure, .. } = &*self.0;
        if pressure.end() {
            let idle = millis(worker.config.limits.idle);
            pressure.watch.until(Phase::Idle, worker.now(Instant::now()) + idle);
        }
    }
}

/// Serves a connection to its end; `read` are bytes that were read from it already.
pub(crate) async fn serve(worker: Rc<Worker>, stream: Stream, peer: SocketAddr, read: Vec<u8>) {
    let limits = &worker.config.limits;
    let watch = worker.watch(Phase::Head, worker.now(Instant::now()) + millis(limits.head_time));
    let connection = Rc::new(Connection {
        peer: peer.ip().to_canonical().to_string(),
        scheme: if matches!(stream, Stream::Tls(_)) { "https" } else { "http" },
        worker: worker.clone(),
        pressure: Rc::new(Pressure::new(watch.clone())),
    });
    let io = Noted::new(Prefixed::new(read, stream), watch.clone());
    let of_requests = connection.clone();
    let service = service_fn(move |request| answer(of_requests.clone(), request));
    let serving = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 4)
        .keep_alive_interval(ALIVE.0)
        .keep_alive_timeout(ALIVE.1)
        .serve_connection(TokioIo::new(io), service);
    tokio::pin!(serving);
    let stopped = worker.stopped();
    tokio::pin!(stopped);
    let mut ending = false;
    loop {
        let expired = poll_fn(|cx| if watch.expired(cx) { Poll::Ready(()) } else { Poll::Pending });
        tokio::select! {
            _ = &mut serving => return,
            () = &mut stopped, if !ending => {
                serving.as_mut().graceful_shutdown();
                ending = true;
            }
            () = expired => {
                if ending || connection.pressure.open() > 0 || watch.phase() == Phase::Head {
                    return;
                }
                serving.as_mut().graceful_shutdown();
                ending = true;
                watch.renew(LAST);
                watch.until(Phase::Head, worker.now(Instant::now()) + millis(LAST));
            }
        }
    }
}

async fn answer(
    connection: Rc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<Relayed>, Infallible> {
    let worker = &connection.worker;
    let started = Instant::now();
    let open = OpenRequest::new(connection.clone(), started);
    let id = fields::request_id(request.headers()).map_or_else(|| worker.ids.next().to_vec(), <[u8]>::to_vec);
    let stamp = worker.stamp.at(started);
    let to_head = request.method() == http::Method::HEAD;
    let (service, draft, answered) = match route(&connection, request) {
        Err(answer) => (None, None, Err(answer)),
        Ok(routed) => {
            let service = routed.service.clone();
            service.app.shard(worker.index).start();
            let (draft, answered) = routed.carry(&connection, &id, &stamp).await;
            (Some(service), draft, answered)
        }
    };
    let status = match &answered {
        Ok(reply) => reply.response.status().as_u16(),
        Err(answer) => answer.status,
    };
    let done = finisher(open, service, draft, (status, started));
    Ok(match answered {
        Ok(reply) => {
            let (mut parts, body) = reply.response.into_parts();
            fields::for_client(&mut parts.headers, &id, &stamp);
            let share = Share::new(connection.pressure.clone());
            Response::from_parts(
                parts,
                Relayed::Upstream { body, lease: Some(reply.lease), share, done: Some(done) },
            )
        }
        Err(answer) => {
            done(true);
            of_edge(&answer, &id, &stamp, to_head)
        }
    })
}

/// What happens when a response has ended: it is counted, and no longer open.
fn finisher(
    open: OpenRequest,
    service: Option<Rc<Service>>,
    draft: Option<Draft>,
    (status, started): (u16, Instant),
) -> Box<dyn FnOnce(bool)> {
    Box::new(move |whole| {
        let worker = &open.0.worker;
        let took = started.elapsed();
        match &service {
            Some(service) => service.app.end(worker.index, status, took),
            None => worker.routes.count_unrouted(worker.index),
        }
        if let Some(draft) = draft {
            worker.record(draft, status, took);
        }
        tracing::debug!(peer = open.0.peer, status, whole, micros = took.as_micros(), "request over HTTP/2");
    })
}

/// A request whose app is known.
struct Routed {
    service: Rc<Service>,
    request: Request<Incoming>,
    path: PathAndQuery,
    authority: String,
}

fn route(connection: &Connection, request: Request<Incoming>) -> Result<Routed, Answer> {
    let refused = |what: &str| Answer::new(400, format!("the request was refused: it has {what}"));
    let worker = &connection.worker;
    if Method::of(request.method().as_str().as_bytes()) == Method::Refused {
        return Err(Answer::new(405, "the request was refused: an edge does neither CONNECT nor TRACE"));
    }
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes);
    let authority = request.uri().authority().map(|a| a.as_str().as_bytes());
    let authority = match (authority, host) {
        (Some(a), Some(h)) if !a.eq_ignore_ascii_case(h) => {
            return Err(refused("a Host that differs from the target's"));
        }
        (a, h) => {
            a.or(h).filter(|host| is_host(host)).ok_or_else(|| refused("no host, or one that is none"))?
        }
    };
    let whole = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    // The same rules as for HTTP/1, so that both ways to a workload are one.
    let parsed = target::parse(whole.as_bytes()).map_err(|e| refused(&e.to_string()))?;
    let view = worker.view();
    let name = target::name_of(authority);
    let (service, path) = find(worker, &view, name, parsed.path)?;
    let slash: &[u8] = if path.starts_with(b"/") { b"" } else { b"/" };
    let path = PathAndQuery::try_from([slash, path].concat()).map_err(|_| refused("a path that is none"))?;
    let authority = String::from_utf8_lossy(authority).into_owned();
    Ok(Routed { service: service.clone(), request, path, authority })
}

impl Routed {
    async fn carry(
        self,
        connection: &Connection,
        id: &[u8],
        stamp: &[u8],
    ) -> (Option<Draft>, Result<forward::Reply, Answer>) {
        let (mut parts, body) = self.request.into_parts();
        let place = connection.worker.place(fields::context(&mut parts.headers));
        fields::place(&mut parts.headers, &place);
        let draft = place.draft(&Shown {
            method: parts.method.as_str().as_bytes(),
            path: parts.uri.path().as_bytes(),
            host: self.authority.as_bytes(),
            scheme: connection.scheme,
            version: "2",
            app: self.service.app.name.as_str(),
        });
        let grpc =
            parts.headers.get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/grpc"));
        let source = if body.is_end_stream() { Source::Empty } else { Source::Http2(body) };
        let added = Added {
            id,
            stamp,
            peer: &connection.peer,
            scheme: connection.scheme,
            authority: &self.authority,
        };
        let progress = Rc::new(Progress::default());
        let mut call = Call { service: self.service, parts, path: self.path, added, progress, draft };
        // A stream of calls may rest for as long as it likes.
        let answered = forward::call(&connection.worker, &mut call, source, !grpc).await;
        (call.draft, answered)
    }
}

fn of_edge(answer: &Answer, id: &[u8], stamp: &[u8], to_head: bool) -> Response<Relayed> {
    let text = (!to_head).then(|| Bytes::from(answer.body(id)));
    let mut response = Response::new(Relayed::Text(text));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Some(seconds) = answer.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    fields::for_client(headers, id, stamp);
    response
}
