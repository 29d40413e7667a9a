//! From the bytes of a request to what is to be done: checked, routed and written anew, in one go without a wait.

use std::rc::Rc;
use std::time::Instant;

use super::answer::Answer;
use super::body::{Body, Framing};
use super::conn::Conn;
use super::head::{self, Head, Malformed};
use super::request::{self, Method, Request, is_sane_id};
use super::rewrite::{self, RequestParts};
use super::target;
use crate::trace::{Draft, Shown};
use crate::worker::Worker;
use crate::worker::view::{Service, View};

/// A request on its way to an app. Its new head stands in [`Conn::output`].
#[derive(Debug)]
pub(crate) struct Ask {
    pub service: Rc<Service>,
    pub request: Request,
    pub started: Instant,
    /// What of the body is still to come from the client.
    pub body: Body,
    /// Bytes of the body the client may still send.
    pub allowance: u64,
    /// Its span, if it is recorded.
    pub draft: Option<Draft>,
}

/// A request the edge answers by itself.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub answer: Answer,
    pub keep_alive: bool,
    pub to_head: bool,
}

impl Refusal {
    /// After which nothing on the connection can be trusted.
    pub(crate) const fn of(answer: Answer) -> Self {
        Self { answer, keep_alive: false, to_head: false }
    }

    /// After which the connection can go on, if the request had no body.
    pub(crate) fn to(request: &Request, answer: Answer) -> Self {
        Self {
            answer,
            keep_alive: request.keep_alive && request.framing == Framing::None,
            to_head: request.method == Method::Head,
        }
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        let status = match malformed {
            Malformed::TooMany => 431,
            Malformed::Version => 505,
            Malformed::Expect => 417,
            _ => 400,
        };
        Self::of(Answer::new(status, format!("the request was refused: it has {malformed}")))
    }
}

impl Conn {
    /// Takes a request's head from the input, if it is whole: [`Conn::output`] then holds what the workload gets.
    pub(crate) fn ask(&mut self) -> Result<Option<Ask>, Refusal> {
        let worker = self.worker.clone();
        let limits = &worker.config.limits;
        let head = &mut *worker.head.borrow_mut();
        self.id.clear();
        let data = self.input.data();
        if !head::parse_request(data, limits.head_fields, head)? {
            return if data.len() < limits.head_bytes {
                Ok(None)
            } else {
                Err(too_long(data, limits.head_bytes))
            };
        }
        if head.len > limits.head_bytes {
            return Err(too_long(data, limits.head_bytes));
        }
        let request = request::check(data, head)?;
        let started = Instant::now();
        match request.request_id.map(|id| id.of(data)).filter(|id| is_sane_id(id)) {
            Some(id) => self.id.extend_from_slice(id),
            None => self.id.extend_from_slice(&worker.ids.next()),
        }
        if request.method == Method::Refused {
            let answer = Answer::new(405, "the request was refused: an edge does neither CONNECT nor TRACE");
            return Err(Refusal::of(answer));
        }
        if matches!(request.framing, Framing::Length(n) if n > limits.body_bytes) {
            let text =
                format!("the request was refused: its body is larger than {} bytes", limits.body_bytes);
            return Err(Refusal::of(Answer::new(413, text)));
        }
        let used = head.len;
        let (service, draft) = self.route(&worker, head, &request, started)?;
        self.input.consume(used);
        let body = Body::new(request.framing);
        Ok(Some(Ask { service, request, started, body, allowance: limits.body_bytes, draft }))
    }

    /// Finds the app and writes the head for it.
    fn route(
        &mut self,
        worker: &Worker,
        head: &Head,
        request: &Request,
        now: Instant,
    ) -> Result<(Rc<Service>, Option<Draft>), Refusal> {
        let data = self.input.data();
        let target = target::parse(head.line[1].of(data))?;
        let host = request.host.map(|h| h.of(data));
        if let (Some(authority), Some(host)) = (target.authority, host)
            && !authority.eq_ignore_ascii_case(host)
        {
            return Err(Malformed::HostDiffers.into());
        }
        let view = worker.view();
        let named = target.authority.or(host).map(target::name_of).unwrap_or_default();
        let (service, path) = match find(worker, &view, named, target.path) {
            Ok(found) => found,
            Err(answer) => {
                worker.routes.count_unrouted(worker.index);
                self.input.consume(head.len);
                return Err(Refusal::to(request, answer));
            }
        };
        let stamp = worker.stamp.at(now);
        let place = worker.place(request.context);
        let parts = RequestParts {
            path,
            host: service.app.host.as_bytes(),
            request_id: &self.id,
            stamp: &stamp,
            peer: self.peer.as_bytes(),
            scheme: self.stream.scheme().as_bytes(),
            context: place.text(),
        };
        self.output.clear();
        rewrite::request(data, head, request, &parts, &mut self.output);
        let draft = place.draft(&Shown {
            method: head.line[0].of(data),
            path: target.path,
            host: target.authority.or(host).unwrap_or(service.app.host.as_bytes()),
            scheme: self.stream.scheme(),
            version: if request.minor == 0 { "1.0" } else { "1.1" },
            app: service.app.name.as_str(),
        });
        Ok((service.clone(), draft))
    }
}

/// The service that a request for `path` at the host `name` goes to, and the path it is asked for there;
/// the answer where there is none.
pub(crate) fn find<'v, 'p>(
    worker: &Worker,
    view: &'v View,
    name: &[u8],
    path: &'p [u8],
) -> Result<(&'v Rc<Service>, &'p [u8]), Answer> {
    let (app, service, path) = match target::app_of_name(name) {
        Some(app) => (app, view.service(&app.to_ascii_lowercase()), path),
        None => {
            if let Some(service) = view.service_of_host(&worker.config.hosts, name) {
                return Ok((service, path));
            }
            let (app, path) = target::app_of_path(path);
            (app, view.service(app), path)
        }
    };
    service.map(|service| (service, path)).ok_or_else(|| Answer::no_app(app, &view.names()))
}

/// Which part of a head is to blame for its length: a first line that takes more than half of it, or the rest.
fn too_long(data: &[u8], most: usize) -> Refusal {
    let of_target = memchr::memchr(b'\n', data).is_none_or(|end| end > most / 2);
    let (status, part) = if of_target { (414, "target") } else { (431, "head") };
    Refusal::of(Answer::new(status, format!("the request was refused: its {part} is too long")))
}
