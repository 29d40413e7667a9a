//! One request to an endpoint over hyper: chosen, tried, tried elsewhere, as on the edge's own data path.

use std::rc::Rc;

use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use hyper::body::{Body as _, Incoming};
use hyper::{Request, Response, Version};

use super::body::{Cut, Outgoing, Progress, Source};
use super::client::{self, Lease};
use super::fields::{self, Added};
use crate::http1::answer::Answer;
use crate::http1::request::Method;
use crate::table::Protocol;
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
}

/// A response with what has to be given back at its end.
pub(super) struct Reply {
    pub response: Response<Incoming>,
    pub lease: Lease,
}

/// Chooses endpoints until one answers; `Err` is what the client gets instead.
pub(super) async fn call(
    worker: &Rc<Worker>,
    call: &mut Call<'_>,
    source: Source,
    paced: bool,
) -> Result<Reply, Answer> {
    let limits = &worker.config.limits;
    let may_repeat = Method::of(call.parts.method.as_str().as_bytes()).may_repeat();
    let mut body = Some(Outgoing::new(source, paced, limits, call.progress.clone()));
    let mut tried: Vec<Rc<Upstream>> = Vec::new();
    let mut stale: Option<Open> = None;
    let mut last = None;
    loop {
        let fresh = stale.is_some();
        let Some(open) = stale.take().or_else(|| pick(worker, &mut call.service, &tried)) else {
            return Err(last.unwrap_or_else(|| Answer::no_endpoint(call.service.app.name.as_str())));
        };
        let endpoint = open.upstream.endpoint.clone();
        let (sender, is_fresh) = match client::connection(&open, limits, fresh).await {
            Ok(connection) => connection,
            Err(error) => {
                worker.set_aside(&open.upstream, &error.to_string());
                last = Some(unreachable(&endpoint.id, &format!("can't be connected to: {error}")));
                if tried.len() + 1 >= limits.attempts as usize {
                    return Err(last.unwrap_or_else(|| Answer::new(502, "no attempt is left")));
                }
                call.service.app.shard(worker.index).retry();
                tried.push(open.upstream.clone());
                continue;
            }
        };
        let Some(sent) = body.take() else {
            return Err(last.unwrap_or_else(|| Answer::new(502, "the request can't be sent again")));
        };
        let bodiless = sent.is_end_stream();
        let request = request(call, endpoint.protocol, sent);
        let response = tokio::select! {
            response = sender.send(request) => response,
            () = late(worker, &call.progress) => {
                return Err(Answer { retry_after: Some(1), ..Answer::new(504, format!("{} took too long to answer", endpoint.id)) });
            }
        };
        let unanswered = match response {
            Ok((response, sender)) => {
                endpoint.worked();
                call.progress.answered.set(true);
                if response.status().is_informational() {
                    return Err(unreachable(&endpoint.id, "changed protocols without being asked"));
                }
                return Ok(Reply { response, lease: Lease { open, sender, pool_size: limits.pool_size } });
            }
            Err(unanswered) => unanswered,
        };
        if let Some(cut) = call.progress.cut.get() {
            return Err(of_client(cut));
        }
        last = Some(unreachable(
            &endpoint.id,
            &format!("broke the connection before it answered: {}", unanswered.error),
        ));
        body = unanswered.request.map(|request| request.into_body());
        if body.is_none() && may_repeat && bodiless {
            body = Some(Outgoing::new(Source::Empty, false, limits, call.progress.clone()));
        }
        if body.is_none() || tried.len() + 1 >= limits.attempts as usize {
            if is_fresh {
                worker.set_aside(&open.upstream, &unanswered.error.to_string());
            }
            return Err(last.unwrap_or_else(|| Answer::new(502, "no attempt is left")));
        }
        call.service.app.shard(worker.index).retry();
        if is_fresh {
            worker.set_aside(&open.upstream, &unanswered.error.to_string());
            tried.push(open.upstream.clone());
        } else {
            stale = Some(open);
        }
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

fn unreachable(endpoint: &str, what: &str) -> Answer {
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
