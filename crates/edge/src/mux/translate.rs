//! An HTTP/1 client in front of a workload that speaks HTTP/2: one exchange, both bodies streamed, trailers kept.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::{Body as _, Frame, Incoming};

use super::body::{Cut, Progress, Source};
use super::fields::{self, Added};
use super::forward::{self, Call, Reply};
use super::pipe::{self, Writer};
use crate::http1::answer::Answer;
use crate::http1::ask::Refusal;
use crate::http1::body::Body;
use crate::http1::conn::{After, Conn};
use crate::http1::exchange::Flow;
use crate::http1::head::{self, Head};
use crate::http1::request::{self, Method};
use crate::worker::watch::{Phase, millis};

/// Bytes that wait for the client at most before more is asked of the workload.
const WAITING: usize = 64 * 1024;

/// How the response's body is delimited for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delimited {
    Nothing,
    /// By its length.
    Length(u64),
    Chunked,
    Close,
}

/// A response that is being carried.
struct Carried {
    body: Incoming,
    delimited: Delimited,
    /// Bytes of content so far.
    length: u64,
    ended: bool,
}

impl Conn {
    /// Carries a request, whose new head stands in `output`, to a workload that speaks HTTP/2.
    pub(crate) async fn translate(&mut self, flow: &mut Flow) -> (u16, After) {
        let worker = self.worker.clone();
        let (parts, path, first) = match self.take_head(flow) {
            Ok(taken) => taken,
            Err(answer) => return self.answer_by_edge(flow, answer).await,
        };
        let progress = Rc::new(Progress::default());
        let (writer, reader) = pipe::pipe();
        let source =
            if first.is_empty() && flow.ask.body.is_done() { Source::Empty } else { Source::Http1(reader) };
        let authority = parts
            .headers
            .get(http::header::HOST)
            .and_then(|h| h.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let id = self.id.clone();
        let stamp = worker.stamp.at(flow.ask.started);
        let peer = self.peer.clone();
        let scheme = self.stream.scheme();
        let added = Added { id: &id, stamp: &stamp, peer: &peer, scheme, authority: &authority };
        let draft = flow.ask.draft.take();
        let mut call = Call { service: flow.ask.service.clone(), parts, path, added, progress, draft };
        if flow.ask.request.expect && !flow.ask.body.is_done() {
            self.answer.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if !first.is_empty() {
            writer.put(Ok(Frame::data(Bytes::from(first))));
        }
        let mut feed = Some(writer);
        // How long the workload takes is for `forward` to watch.
        self.watch.patience(u64::MAX / 2);
        self.watch.until(Phase::Upstream, u64::MAX / 2);
        let reply = {
            let mut calling = pin!(forward::call(&worker, &mut call, source, false));
            poll_fn(|cx| {
                if self.watch.expired(cx) {
                    return Poll::Ready(Err(Answer::new(408, "the request's body took too long to arrive")));
                }
                self.watch.turn(Phase::Upstream);
                if self.poll_answer(cx).is_ready() {
                    self.feed(cx, flow, &mut feed);
                }
                calling.as_mut().poll(cx)
            })
            .await
        };
        flow.ask.draft = call.draft.take();
        match reply {
            Ok(reply) => self.carry(flow, reply, feed, &stamp).await,
            Err(answer) => self.answer_by_edge(flow, answer).await,
        }
    }

    async fn answer_by_edge(&mut self, flow: &Flow, answer: Answer) -> (u16, After) {
        let status = answer.status;
        self.answer.clear();
        let mut refusal = Refusal::to(&flow.ask.request, answer);
        refusal.keep_alive &= flow.ask.body.is_done();
        (status, self.refuse(&refusal).await)
    }

    /// Reads the head in `output` once more, as hyper wants it; also gives what of the body came with it.
    fn take_head(
        &mut self,
        flow: &mut Flow,
    ) -> Result<(http::request::Parts, http::uri::PathAndQuery, Vec<u8>), Answer> {
        let invalid = |_| Answer::new(400, "the request was refused: it can't be said in HTTP/2");
        let mut head = Head::default();
        let parsed = head::parse_request(&self.output, usize::MAX, &mut head);
        if parsed != Ok(true) {
            return Err(invalid(()));
        }
        let text = &self.output[..];
        let (mut parts, ()) = hyper::Request::new(()).into_parts();
        parts.method = http::Method::from_bytes(head.line[0].of(text)).map_err(|_| invalid(()))?;
        let path = http::uri::PathAndQuery::try_from(head.line[1].of(text)).map_err(|_| invalid(()))?;
        for field in &head.fields {
            let name = HeaderName::from_bytes(field.name.of(text)).map_err(|_| invalid(()))?;
            let value = HeaderValue::from_bytes(field.value.of(text)).map_err(|_| invalid(()))?;
            parts.headers.append(name, value);
        }
        // These are added again; the client's own address stands last in the list already.
        let before = flow
            .ask
            .request
            .forwarded_for
            .is_some()
            .then(|| parts.headers.remove("x-forwarded-for"))
            .flatten();
        if let Some(list) = before.as_ref().and_then(|v| v.to_str().ok()).and_then(|l| l.rsplit_once(", ")) {
            parts.headers.insert("x-forwarded-for", HeaderValue::from_str(list.0).map_err(|_| invalid(()))?);
        } else {
            parts.headers.remove("x-forwarded-for");
        }
        let mut first = Vec::new();
        let mut body = Body::new(flow.ask.request.framing);
        body.decode(&self.output[head.len..], |content| first.extend_from_slice(content))
            .map_err(|_| invalid(()))?;
        flow.ask.body = body;
        flow.passing = 0;
        self.output.clear();
        Ok((parts, path, first))
    }

    /// Takes more of the client's body, as far as it has come and is wanted.
    fn feed(&mut self, cx: &mut Context<'_>, flow: &mut Flow, feed: &mut Option<Writer>) {
        while let Some(writer) = feed {
            match writer.poll_room(cx) {
                Poll::Pending => return,
                Poll::Ready(false) => {
                    feed.take();
                    return;
                }
                Poll::Ready(true) => {}
            }
            if flow.ask.body.is_done() {
                if let Some(trailers) = flow.ask.body.take_trailers() {
                    writer.put(Ok(Frame::trailers(fields_of(&trailers))));
                    continue;
                }
                writer.end();
                feed.take();
                return;
            }
            if self.input.is_empty() {
                self.watch.turn(Phase::Client);
                match self.input.poll_fill(&mut self.stream, cx, &self.worker.buffers) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(n)) if n > 0 => self.watch.moved(n),
                    Poll::Ready(_) => {
                        writer.put(Err(Cut::Gone));
                        feed.take();
                        return;
                    }
                }
            }
            self.put_more(flow, feed);
        }
    }

    fn put_more(&mut self, flow: &mut Flow, feed: &mut Option<Writer>) {
        let Some(writer) = feed else { return };
        let mut content = Vec::new();
        let taken = flow.ask.body.decode(self.input.data(), |piece| content.extend_from_slice(piece));
        match taken {
            Ok(n) => {
                self.input.consume(n);
                if !content.is_empty() {
                    writer.put(Ok(Frame::data(Bytes::from(content))));
                }
            }
            Err(_) => {
                writer.put(Err(Cut::Malformed));
                feed.take();
            }
        }
    }

    /// Carries the response to its end.
    async fn carry(
        &mut self,
        flow: &mut Flow,
        reply: Reply,
        mut feed: Option<Writer>,
        stamp: &[u8],
    ) -> (u16, After) {
        let Reply { response, lease } = reply;
        let (mut parts, body) = response.into_parts();
        fields::for_client(&mut parts.headers, &self.id, stamp);
        let status = parts.status.as_u16();
        let bodiless = flow.ask.request.method == Method::Head || status == 204 || status == 304;
        let delimited = delimited(&parts.headers, &body, bodiless, flow.ask.request.minor);
        flow.stays = flow.ask.request.keep_alive
            && delimited != Delimited::Close
            && flow.ask.body.is_done()
            && !self.worker.is_closing();
        write_head(&parts, delimited, flow, &mut self.answer);
        self.watch.patience(millis(self.worker.config.limits.silence));
        let mut carried = Carried { body, delimited, length: 0, ended: bodiless };
        let whole = poll_fn(|cx| {
            if self.watch.expired(cx) {
                return Poll::Ready(false);
            }
            self.watch.turn(Phase::Upstream);
            self.feed(cx, flow, &mut feed);
            self.poll_carry(cx, &mut carried)
        });
        let whole = whole.await;
        lease.end(whole);
        match (whole, flow.stays) {
            (false, _) => (status, After::Cut),
            (true, true) => (status, After::Next),
            (true, false) => (status, After::Close),
        }
    }

    /// Ready when all was written (`true`), or when that can't be (`false`).
    fn poll_carry(&mut self, cx: &mut Context<'_>, carried: &mut Carried) -> Poll<bool> {
        loop {
            if self.answer.len() > WAITING || carried.ended {
                match ready!(self.poll_answer(cx)) {
                    Err(_) => return Poll::Ready(false),
                    Ok(()) if carried.ended => return Poll::Ready(true),
                    Ok(()) => {}
                }
            }
            self.watch.turn(Phase::Upstream);
            match Pin::new(&mut carried.body).poll_frame(cx) {
                Poll::Pending => {
                    // What has come so far must not wait for the rest.
                    return match self.poll_answer(cx) {
                        Poll::Ready(Err(_)) => Poll::Ready(false),
                        _ => Poll::Pending,
                    };
                }
                Poll::Ready(Some(Err(_))) => return Poll::Ready(false),
                Poll::Ready(frame) => {
                    self.watch.heard();
                    if !carried.take(frame.and_then(Result::ok), &mut self.answer) {
                        return Poll::Ready(false);
                    }
                }
            }
        }
    }
}

impl Carried {
    /// Writes a frame as the client reads it; `false` when the body isn't what its head said.
    fn take(&mut self, frame: Option<Frame<Bytes>>, out: &mut Vec<u8>) -> bool {
        let Some(frame) = frame else { return self.end(None, out) };
        match frame.into_data() {
            Ok(data) if data.is_empty() => true,
            Ok(data) => {
                self.length += data.len() as u64;
                if self.delimited == Delimited::Chunked {
                    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
                    out.extend_from_slice(&data);
                    out.extend_from_slice(b"\r\n");
                } else {
                    out.extend_from_slice(&data);
                }
                !matches!(self.delimited, Delimited::Length(n) if self.length > n)
            }
            Err(frame) => self.end(frame.into_trailers().ok().as_ref(), out),
        }
    }

    fn end(&mut self, trailers: Option<&HeaderMap>, out: &mut Vec<u8>) -> bool {
        self.ended = true;
        if self.delimited == Delimited::Chunked {
            out.extend_from_slice(b"0\r\n");
            write_fields(trailers, out);
            out.extend_from_slice(b"\r\n");
        }
        !matches!(self.delimited, Delimited::Length(n) if self.length != n)
    }
}

fn delimited(headers: &HeaderMap, body: &Incoming, bodiless: bool, minor: u8) -> Delimited {
    let length = headers.get(CONTENT_LENGTH).and_then(|v| request::decimal(v.as_bytes()));
    match length {
        _ if bodiless => Delimited::Nothing,
        Some(n) => Delimited::Length(n),
        None if body.is_end_stream() => Delimited::Length(0),
        None if minor == 1 => Delimited::Chunked,
        None => Delimited::Close,
    }
}

fn write_head(parts: &http::response::Parts, delimited: Delimited, flow: &Flow, out: &mut Vec<u8>) {
    let reason = parts.status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", parts.status.as_u16()).as_bytes());
    write_fields(Some(&parts.headers), out);
    if delimited == Delimited::Length(0) && !parts.headers.contains_key(CONTENT_LENGTH) {
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    if delimited == Delimited::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if !flow.stays {
        out.extend_from_slice(b"connection: close\r\n");
    } else if flow.ask.request.minor == 0 {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn write_fields(fields: Option<&HeaderMap>, out: &mut Vec<u8>) {
    for (name, value) in fields.into_iter().flatten() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// A trailer section, checked before, as fields.
fn fields_of(trailers: &[u8]) -> HeaderMap {
    let mut head = Head::default();
    let mut fields = HeaderMap::new();
    if head::parse_trailers(trailers, usize::MAX, &mut head) == Ok(true) {
        for field in &head.fields {
            let name = HeaderName::from_bytes(field.name.of(trailers));
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value.of(trailers))) {
                fields.append(name, value);
            }
        }
    }
    fields
}
