//! Connections to workloads for requests that come or go over HTTP/2: one HTTP/2 connection, or several idle HTTP/1
//! ones, for each endpoint and worker.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::Local;
use super::body::Outgoing;
use crate::config::Limits;
use crate::io::Far;
use crate::table::Protocol;
use crate::worker::view::Open;

/// What a workload may have on the way on one stream, and on all of a connection.
const WINDOW: u32 = 1 << 20;
/// How often a busy connection is asked whether it lives, and how long it has to answer.
const ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// The connections to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Link {
    http2: RefCell<Option<http2::SendRequest<Outgoing>>>,
    http1: RefCell<Vec<(http1::SendRequest<Outgoing>, Instant)>>,
    /// Held while connecting, so that a burst of requests makes one connection.
    connecting: Mutex<()>,
}

/// A connection in use.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(http1::SendRequest<Outgoing>),
    Http2(http2::SendRequest<Outgoing>),
}

/// A request that is open on an endpoint, and the connection to give back after it.
#[derive(Debug)]
pub(super) struct Lease {
    pub open: Open,
    pub sender: Option<http1::SendRequest<Outgoing>>,
    pub pool_size: usize,
}

impl Lease {
    /// The response is over; `whole` when its connection can be used again.
    pub(super) fn end(self, whole: bool) {
        if let Some(sender) = self.sender.filter(|_| whole)
            && !self.open.upstream.endpoint.is_draining()
        {
            let mut idle = self.open.upstream.link.http1.borrow_mut();
            if idle.len() < self.pool_size {
                idle.push((sender, Instant::now()));
            }
        }
    }
}

impl Link {
    /// Lets go of all connections; what is open on them goes on.
    pub(crate) fn close(&self) {
        self.http2.borrow_mut().take();
        self.http1.borrow_mut().clear();
    }

    /// Closes idle connections; says whether any is left that is to be looked at again.
    pub(crate) fn prune(&self, since: Instant) -> bool {
        let mut idle = self.http1.borrow_mut();
        idle.retain(|(sender, last)| *last >= since && !sender.is_closed());
        !idle.is_empty()
    }

    fn pooled(&self, protocol: Protocol) -> Option<Sender> {
        if protocol == Protocol::H2c {
            return self.http2.borrow().clone().filter(|sender| !sender.is_closed()).map(Sender::Http2);
        }
        let mut idle = self.http1.borrow_mut();
        std::iter::from_fn(|| idle.pop()).find(|(sender, _)| sender.is_ready()).map(|(s, _)| Sender::Http1(s))
    }
}

/// A connection to the endpoint, and whether it is a fresh one.
pub(super) async fn connection(open: &Open, limits: &Limits, fresh: bool) -> io::Result<(Sender, bool)> {
    let link = &open.upstream.link;
    let endpoint = &open.upstream.endpoint;
    if !fresh && let Some(sender) = link.pooled(endpoint.protocol) {
        return Ok((sender, false));
    }
    let connecting = link.connecting.lock().await;
    if endpoint.protocol == Protocol::H2c
        && let Some(sender) = link.pooled(Protocol::H2c)
    {
        return Ok((sender, false));
    }
    let io = TokioIo::new(Far::connect(&endpoint.reach, limits.connect).await?);
    if endpoint.protocol == Protocol::Http1 {
        drop(connecting);
        let (sender, connection) = http1::handshake(io).await.map_err(io::Error::other)?;
        drop(tokio::task::spawn_local(async move { drop(connection.await) }));
        return Ok((Sender::Http1(sender), true));
    }
    let handshake = http2::Builder::new(Local)
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW * 8)
        .keep_alive_interval(ALIVE.0)
        .keep_alive_timeout(ALIVE.1)
        .handshake(io);
    let (sender, connection) = timeout(limits.connect, handshake)
        .await
        .map_err(|_| io::ErrorKind::TimedOut)?
        .map_err(io::Error::other)?;
    drop(tokio::task::spawn_local(async move { drop(connection.await) }));
    if !endpoint.is_draining() {
        *link.http2.borrow_mut() = Some(sender.clone());
    }
    Ok((Sender::Http2(sender), true))
}

/// Why a request got no response.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// The request, when nothing of it was sent.
    pub request: Option<Box<Request<Outgoing>>>,
    pub error: hyper::Error,
}

impl Sender {
    /// Sends the request; gives back, with the response, the connection that is busy until its body has ended.
    pub(super) async fn send(
        self,
        request: Request<Outgoing>,
    ) -> Result<(Response<Incoming>, Option<http1::SendRequest<Outgoing>>), Unanswered> {
        let unanswered = |mut e: hyper::client::conn::TrySendError<Request<Outgoing>>| Unanswered {
            request: e.take_message().map(Box::new),
            error: e.into_error(),
        };
        match self {
            Self::Http1(mut sender) => {
                let response = sender.try_send_request(request).await.map_err(unanswered)?;
                Ok((response, Some(sender)))
            }
            Self::Http2(mut sender) => {
                let response = sender.try_send_request(request).await.map_err(unanswered)?;
                Ok((response, None))
            }
        }
    }
}
