//! One request to an endpoint over hyper: chosen, tried, tried elsewhere, as on the edge's own data path.

use std::rc::Rc;

use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use hyper::body::{Body as _, Incoming};
use hyper::{Request, Response, Version};

use super::body::{Cut, Outgoing, Progress, Source};
use super::client::{self, Lease};
use super::fields::{self, Added};
use crate::hold;
use crate::http1::answer::Answer;
use crate::http1::request::Method;
use crate::table::Protocol;
use crate::trace::Draft;
use crate::worker::Worker;
use crate::worker::view::{Open, Service, Upstream};

/// A request that was routed.
pub(super) struct Call<'a> {
    pub service: Rc<Service>,
    pub parts: Parts,
    /// Path and query for the workload.
    pub path: PathAndQuery,
    pub added: Added<'a>,
    pub progress: Rc<Progress>,
    /// Its span, if it is recorded.
    pub draft: Option<Draft>,
}

impl Call<'_> {
    fn retried(&mut self, reason: &str) {
        if let Some(draft) = &mut self.draft {
            draft.again(reason);
        }
    }
}

/// A response with what has to be given back at its end.
pub(super) struct Reply {
    pub response: Response<Incoming>,
    pub lease: Lease,
}

/// What is left to try a request with.
struct Tries {
    /// The body, as long as nothing of it was sent.
    body: Option<Outgoing>,
    /// Whether there is no body and the method may be repeated: then another one can be made.
    repeatable: bool,
    tried: Vec<Rc<Upstream>>,
}

/// An endpoint that gave no response.
enum Failed {
    /// Another one may.
    Elsewhere(Answer),
    /// None will.
    Final(Answer),
}

/// Chooses endpoints until one answers; `Err` is what the client gets instead.
pub(super) async fn call(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    source: Source,
    paced: bool,
) -> Result<Reply, Answer> {
    let limits = &worker.config.limits;
    let body = Outgoing::new(source, paced, limits, call.progress.clone());
    let repeatable = body.is_end_stream() && Method::of(call.parts.method.as_str().as_bytes()).may_repeat();
    let mut tries = Tries { body: Some(body), repeatable, tried: Vec::new() };
    let mut last = None;
    loop {
        let open = match pick(worker, &mut call.service, &tries.tried) {
            Some(open) => open,
            None if tries.tried.is_empty() => hold::pick(worker, &mut call.service).await?,
            None => {
                return Err(last.unwrap_or_else(|| Answer::no_endpoint(call.service.app.name.as_str())));
            }
        };
        let upstream = open.upstream.clone();
        if let Some(draft) = &mut call.draft {
            draft.to(&upstream.endpoint);
        }
        match attempt(worker, call, &mut tries, open).await {
            Ok(reply) => return Ok(reply),
            Err(Failed::Final(answer)) => return Err(answer),
            Err(Failed::Elsewhere(answer)) => {
                worker.set_aside(&upstream, &answer.text);
                tries.tried.push(upstream);
                if tries.body.is_none() || tries.tried.len() >= limits.attempts as usize {
                    return Err(answer);
                }
                call.service.app.shard(worker.index).retry();
                call.retried(&answer.text);
                last = Some(answer);
            }
        }
    }
}

/// Tries one endpoint: on the connection there is first, on a fresh one when that turns out to be stale.
async fn attempt(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    tries: &mut Tries,
    open: Open,
) -> Result<Reply, Failed> {
    let limits = &worker.config.limits;
    let endpoint = open.upstream.endpoint.clone();
    let mut want_fresh = false;
    loop {
        let (sender, is_fresh) = client::connection(&open, limits, want_fresh)
            .await
            .map_err(|e| Failed::Elsewhere(failure(&endpoint.id, &format!("can't be connected to: {e}"))))?;
        let Some(body) = tries.body.take() else {
            return Err(Failed::Final(failure(&endpoint.id, "broke the connection before it answered")));
        };
        let request = request(call, endpoint.protocol, body);
        let sent = tokio::select! {
            sent = sender.send(request) => sent,
            () = late(worker, &call.progress) => {
                let text = format!("{} took too long to answer", endpoint.id);
                return Err(Failed::Final(Answer { retry_after: Some(1), ..Answer::new(504, text) }));
            }
        };
        let unanswered = match sent {
            Ok((response, sender)) => {
                endpoint.worked();
                call.progress.answered.set(true);
                if response.status().is_informational() {
                    return Err(Failed::Final(failure(
                        &endpoint.id,
                        "changed protocols without being asked",
                    )));
                }
                return Ok(Reply { response, lease: Lease { open, sender, pool_size: limits.pool_size } });
            }
            Err(unanswered) => unanswered,
        };
        if let Some(cut) = call.progress.cut.get() {
            return Err(Failed::Final(of_client(cut)));
        }
        let again = || Outgoing::new(Source::Empty, false, limits, call.progress.clone());
        tries.body =
            unanswered.request.map(|request| request.into_body()).or_else(|| tries.repeatable.then(again));
        if is_fresh || tries.body.is_none() {
            let text = format!("broke the connection before it answered: {}", unanswered.error);
            let answer = failure(&endpoint.id, &text);
            // A connection that was kept too long says nothing about its endpoint.
            return Err(if is_fresh { Failed::Elsewhere(answer) } else { Failed::Final(answer) });
        }
        call.service.app.shard(worker.index).retry();
        call.retried(&unanswered.error.to_string());
        want_fresh = true;
    }
}

/// Resolves when the workload has had all of the request for too long.
async fn late(worker: &Worker, progress: &Progress) {
    progress.ended().await;
    tokio::time::sleep(worker.config.limits.response).await;
}

fn request(call: &Call<'_>, protocol: Protocol, body: Outgoing) -> Request<Outgoing> {
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(call.path.clone());
    if protocol == Protocol::H2c {
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = call.added.authority.parse::<Authority>().ok();
    }
    let mut request = Request::new(body);
    *request.method_mut() = call.parts.method.clone();
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_else(|_| Uri::from(call.path.clone()));
    *request.version_mut() = if protocol == Protocol::H2c { Version::HTTP_2 } else { Version::HTTP_11 };
    *request.headers_mut() = call.parts.headers.clone();
    fields::for_workload(request.headers_mut(), protocol, &call.added);
    request
}

/// An endpoint for the request. A table that was swapped meanwhile is looked at once more.
pub(crate) fn pick(worker: &Rc<Worker>, service: &mut Rc<Service>, tried: &[Rc<Upstream>]) -> Option<Open> {
    loop {
        if let Some(open) = service.pick(worker.index, tried) {
            return Some(open);
        }
        let newest = worker.view().service(service.app.name.as_str().as_bytes())?.clone();
        if Rc::ptr_eq(&newest, service) {
            return None;
        }
        *service = newest;
    }
}

fn failure(endpoint: &str, what: &str) -> Answer {
    Answer { retry_after: Some(1), ..Answer::new(502, format!("{endpoint} {what}")) }
}

fn of_client(cut: Cut) -> Answer {
    match cut {
        Cut::TooLarge => Answer::new(413, "the request was refused: its body is too large"),
        Cut::TooSlow => Answer::new(408, "the request's body took too long to arrive"),
        Cut::Malformed => Answer::new(400, "the request was refused: its body is malformed"),
        Cut::Gone | Cut::Upstream => Answer::new(499, "the request's body broke off"),
    }
}
