//! The response's head on its way from the workload, interim ones included.

use std::io;
use std::task::{Context, Poll, ready};

use super::body::Framing;
use super::conn::Conn;
use super::exchange::{ClientFault, Fault, Flow, Up, UpstreamFault};
use super::head;
use super::request::Method;
use super::response::{self, Response};
use super::rewrite::{self, Persistence, ResponseParts};
use crate::worker::watch::Phase;

/// Interim responses to one request.
const INTERIMS: usize = 16;

impl Conn {
    /// Sends the request and waits for the head of its response, which is then in [`Conn::answer`] as the client gets it.
    pub(super) fn poll_response(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Up,
        flow: &mut Flow,
    ) -> Poll<Result<Response, Fault>> {
        // An idle connection has nothing to say. No system call: the event of its end is either known or not.
        if std::mem::take(&mut up.idle) && up.io.is_known_over(cx) {
            return Poll::Ready(Err(Fault::Upstream(UpstreamFault::Closed)));
        }
        loop {
            if self.watch.expired(cx) {
                return Poll::Ready(Err(match self.watch.phase() {
                    Phase::Client => Fault::Client(ClientFault::TooSlow),
                    _ => Fault::Upstream(UpstreamFault::TooSlow),
                }));
            }
            ready!(self.poll_interim(cx))?;
            self.watch.turn(Phase::Upstream);
            if let Poll::Ready(Err(fault)) = self.poll_send(cx, up, flow) {
                return Poll::Ready(Err(fault));
            }
            self.input.rest(&self.worker.buffers);
            let read = ready!(self.reply.poll_fill(&mut up.io, cx, &self.worker.buffers));
            match read.map_err(|e| broken(e, self.reply.is_empty())) {
                Ok(n) if n > 0 => {}
                Ok(_) if self.reply.is_empty() => return fail(UpstreamFault::Closed),
                Ok(_) => return fail(UpstreamFault::Malformed(head::Malformed::FirstLine)),
                Err(fault) => return fail(fault),
            }
            if let Some(response) = self.look_at_reply(flow).map_err(Fault::Upstream)? {
                return Poll::Ready(Ok(response));
            }
        }
    }

    /// Passes interim responses on.
    fn poll_interim(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.answer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.watch.turn(Phase::Client);
        self.poll_answer(cx).map_err(|_| Fault::Client(ClientFault::Gone))
    }

    /// Parses what has arrived; `None` when the final head isn't whole yet.
    fn look_at_reply(&mut self, flow: &mut Flow) -> Result<Option<Response>, UpstreamFault> {
        let worker = self.worker.clone();
        let head = &mut *worker.head.borrow_mut();
        for _ in 0..INTERIMS {
            let data = self.reply.data();
            let whole = head::parse_response(data, worker.config.limits.head_fields, head)
                .map_err(UpstreamFault::Malformed)?;
            if !whole {
                return if self.reply.is_full() { Err(UpstreamFault::HeadTooLong) } else { Ok(None) };
            }
            let to_head = flow.ask.request.method == Method::Head;
            let response = response::check(data, head, to_head).map_err(UpstreamFault::Malformed)?;
            if response.status == 101 && !(response.upgrade && flow.ask.request.upgrade.is_some()) {
                return Err(UpstreamFault::Unasked);
            }
            if !response.is_interim() || response.status == 101 {
                self.write_head(flow, head, &response);
                self.reply.consume(head.len);
                return Ok(Some(response));
            }
            if flow.ask.request.minor == 1 {
                rewrite::interim(data, head, &mut self.answer);
            }
            self.reply.consume(head.len);
            if self.reply.is_empty() {
                return Ok(None);
            }
        }
        Err(UpstreamFault::HeadTooLong)
    }

    fn write_head(&mut self, flow: &mut Flow, head: &mut head::Head, response: &Response) {
        let request = &flow.ask.request;
        let delimited = match response.framing {
            Framing::Close => false,
            Framing::Chunked => request.minor == 1,
            Framing::None | Framing::Length(_) => true,
        };
        flow.stays = request.keep_alive && delimited && flow.ask.body.is_done() && !self.worker.is_closing();
        let connection = match (response.status, flow.stays) {
            (101, _) => Persistence::Upgrade,
            (_, false) => Persistence::Close,
            (_, true) if request.minor == 0 => Persistence::KeepAlive,
            (_, true) => Persistence::Implied,
        };
        if request.minor == 0 {
            rewrite::unframe(head, response);
        }
        let stamp = self.worker.stamp.at(flow.ask.started);
        let parts = ResponseParts { request_id: &self.id, stamp: &stamp, connection };
        rewrite::response(self.reply.data(), head, &parts, &mut self.answer);
    }
}

fn broken(error: io::Error, silent: bool) -> UpstreamFault {
    if silent { UpstreamFault::Broken(error) } else { UpstreamFault::Malformed(head::Malformed::FirstLine) }
}

fn fail(fault: UpstreamFault) -> Poll<Result<Response, Fault>> {
    Poll::Ready(Err(Fault::Upstream(fault)))
}
