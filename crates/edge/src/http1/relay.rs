//! The response's body on its way to the client; in most cases it goes with the head, in one write.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::AsyncWrite as _;

use super::body::{Body, Framing};
use super::conn::{After, Conn};
use super::exchange::{Flow, Up};
use super::response::Response;
use crate::worker::view::Open;
use crate::worker::watch::{Phase, millis};

/// A first piece of body up to this size is copied behind the head; a larger one is written from where it is.
const COPIED: usize = 2048;

/// A response that is being carried to the client.
struct Relay<'a> {
    flow: &'a mut Flow,
    up: Up,
    body: Body,
    /// The client can't read chunks: they are taken off.
    decode: bool,
    /// How much of [`Conn::answer`] is written.
    written: usize,
    /// Bytes of the body at the start of the reply, checked and not yet written.
    passing: usize,
    /// Whether the client has closed its side.
    half_closed: bool,
}

/// The response broke off: which side did it makes no difference any more.
struct Broken;

impl Conn {
    /// Carries the response, whose head is in [`Conn::answer`], to its end.
    pub(super) async fn relay(&mut self, flow: &mut Flow, open: &Open, up: Up, response: &Response) -> After {
        self.watch.patience(millis(self.worker.config.limits.silence));
        let mut relay = Relay {
            body: Body::new(response.framing),
            decode: flow.ask.request.minor == 0 && response.framing == Framing::Chunked,
            flow,
            up,
            written: 0,
            passing: 0,
            half_closed: false,
        };
        let end = poll_fn(|cx| self.poll_relay(cx, &mut relay)).await;
        let Relay { flow, up, .. } = relay;
        if end.is_err() {
            return After::Cut;
        }
        let sent = flow.is_sent(self.output.len());
        if sent && response.keep_alive && response.framing != Framing::Close && self.reply.is_empty() {
            open.upstream.give_idle(up.io, Instant::now(), self.worker.config.limits.pool_size);
        }
        // What the workload didn't want of a body that arrived whole.
        self.input.consume(std::mem::take(&mut flow.passing));
        if flow.stays { After::Next } else { After::Close }
    }

    fn poll_relay(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Poll<Result<(), Broken>> {
        loop {
            if self.watch.expired(cx) {
                return Poll::Ready(Err(Broken));
            }
            if !relay.flow.is_sent(self.output.len())
                && let Poll::Ready(Err(_)) = self.poll_send(cx, &mut relay.up, relay.flow)
            {
                return Poll::Ready(Err(Broken));
            }
            self.pass(relay)?;
            if relay.written < self.answer.len() || relay.passing > 0 {
                self.watch.turn(Phase::Client);
                ready!(self.poll_deliver(cx, relay)).map_err(|_| Broken)?;
            } else if relay.body.is_done() {
                self.watch.turn(Phase::Client);
                return Pin::new(&mut self.stream).poll_flush(cx).map_err(|_| Broken);
            } else {
                ready!(self.poll_refill(cx, relay))?;
            }
        }
    }

    /// Checks what arrived of the body and queues it for the client.
    fn pass(&mut self, relay: &mut Relay<'_>) -> Result<(), Broken> {
        if relay.passing > 0 || relay.body.is_done() || self.reply.is_empty() {
            return Ok(());
        }
        let data = self.reply.data();
        if relay.decode {
            let answer = &mut self.answer;
            let n =
                relay.body.decode(data, |content| answer.extend_from_slice(content)).map_err(|_| Broken)?;
            self.reply.consume(n);
            return Ok(());
        }
        let n = relay.body.take(data).map_err(|_| Broken)?;
        if n <= COPIED && !self.answer.is_empty() {
            self.answer.extend_from_slice(&data[..n]);
            self.reply.consume(n);
        } else {
            relay.passing = n;
        }
        Ok(())
    }

    fn poll_deliver(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Poll<std::io::Result<()>> {
        let head = &self.answer[relay.written..];
        let n = ready!(self.stream.poll_write_both(cx, head, &self.reply.data()[..relay.passing]))?;
        self.watch.moved(n);
        let of_head = n.min(head.len());
        relay.written += of_head;
        if relay.written == self.answer.len() {
            self.answer.clear();
            relay.written = 0;
        }
        self.reply.consume(n - of_head);
        relay.passing -= n - of_head;
        Poll::Ready(if n == 0 { Err(std::io::ErrorKind::WriteZero.into()) } else { Ok(()) })
    }

    /// Reads more of the body, while the client is watched for its end.
    fn poll_refill(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Poll<Result<(), Broken>> {
        // What was encrypted and not yet sent must not wait for the next piece.
        if Pin::new(&mut self.stream).poll_flush(cx).map_err(|_| Broken)?.is_pending() {
            self.watch.turn(Phase::Client);
        } else {
            self.watch.turn(Phase::Upstream);
        }
        match self.reply.poll_fill(&mut relay.up.io, cx, &self.worker.buffers) {
            Poll::Ready(Ok(0)) if matches!(relay.body, Body::Close) => relay.body = Body::Done,
            Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Broken)),
            Poll::Ready(Ok(_)) => self.watch.heard(),
            Poll::Pending => {
                self.poll_client(cx, relay)?;
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Notices a client that broke the connection. One that only closed its side still wants its response.
    fn poll_client(&mut self, cx: &mut Context<'_>, relay: &mut Relay<'_>) -> Result<(), Broken> {
        if relay.half_closed
            || !relay.flow.ask.body.is_done()
            || relay.flow.passing > 0
            || !self.input.is_empty()
        {
            return Ok(());
        }
        match self.input.poll_fill(&mut self.stream, cx, &self.worker.buffers) {
            Poll::Ready(Ok(0)) => relay.half_closed = true,
            Poll::Ready(Err(_)) => return Err(Broken),
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        Ok(())
    }
}
