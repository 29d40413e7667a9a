//! A client's HTTP/1 connection: one request after the other, until one side has had enough.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::AsyncWrite as _;

use super::answer::Answer;
use super::ask::{Ask, Refusal};
use crate::io::{Buffer, Stream};
use crate::worker::Worker;
use crate::worker::watch::{Phase, Watch, millis};

/// How an HTTP/2 connection without TLS begins (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Memory for heads that a connection keeps while it is idle.
const KEPT: usize = 4 * 1024;
/// Bytes that are read and thrown away so that a client gets to read its refusal.
const DISCARDED: usize = 1 << 20;

/// A connection with its buffers. They are empty between requests.
#[derive(Debug)]
pub(crate) struct Conn {
    pub worker: Rc<Worker>,
    pub stream: Stream,
    pub watch: Rc<Watch>,
    /// The client's address, as text.
    pub peer: String,
    /// From the client.
    pub input: Buffer,
    /// To the workload: the head and what may have to be sent again.
    pub output: Vec<u8>,
    /// From the workload.
    pub reply: Buffer,
    /// To the client: heads and what isn't passed on as it came.
    pub answer: Vec<u8>,
    /// The request's id.
    pub id: Vec<u8>,
}

/// What comes after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next one.
    Next,
    /// The end, once the client has read all.
    Close,
    /// The end, at once and visibly: the response is not whole.
    Cut,
}

enum Arrival {
    Request(Ask),
    Refused(Refusal),
    Http2,
    End,
}

/// Serves a connection to its end; gives it back, with the bytes that were read, when it speaks HTTP/2.
pub(crate) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    peer: SocketAddr,
    watch: Rc<Watch>,
) -> Option<(Stream, Vec<u8>)> {
    let mut conn = Conn {
        worker,
        stream,
        watch,
        peer: peer.ip().to_canonical().to_string(),
        input: Buffer::default(),
        output: Vec::new(),
        reply: Buffer::default(),
        answer: Vec::new(),
        id: Vec::new(),
    };
    loop {
        let after = match poll_fn(|cx| conn.poll_arrival(cx)).await {
            Arrival::Request(ask) => conn.exchange(ask).await,
            Arrival::Refused(refusal) => conn.refuse(&refusal).await,
            Arrival::Http2 => {
                let read = conn.input.data().to_vec();
                return Some((conn.stream, read));
            }
            Arrival::End => break,
        };
        match after {
            After::Next => conn.rest(),
            After::Close => {
                conn.finish().await;
                break;
            }
            After::Cut => {
                // A client that can't tell the end of a body by its length has to see a reset.
                let _ =
                    socket2::SockRef::from(conn.stream.socket()).set_linger(Some(std::time::Duration::ZERO));
                break;
            }
        }
    }
    conn.input.clear();
    conn.reply.clear();
    conn.rest();
    None
}

impl Conn {
    /// Waits for the next request.
    fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        loop {
            if !self.input.is_empty() {
                if let Some(arrival) = self.look() {
                    return Poll::Ready(arrival);
                }
                if self.watch.phase() == Phase::Idle {
                    let head_time = millis(self.worker.config.limits.head_time);
                    self.watch.until(Phase::Head, self.worker.now(Instant::now()) + head_time);
                }
            }
            if self.watch.expired(cx) {
                return Poll::Ready(if self.input.is_empty() {
                    Arrival::End
                } else {
                    Arrival::Refused(Refusal::of(Answer::new(
                        408,
                        "the request's head took too long to arrive",
                    )))
                });
            }
            if ready!(self.stream.poll_readable(cx)).is_err() {
                return Poll::Ready(Arrival::End);
            }
            match self.input.poll_fill(&mut self.stream, cx, &self.worker.buffers) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Arrival::End),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Makes out what has arrived; `None` when it isn't whole yet.
    fn look(&mut self) -> Option<Arrival> {
        let data = self.input.data();
        if data[0] == b'P' {
            if data.starts_with(PREFACE) {
                return Some(Arrival::Http2);
            }
            if PREFACE.starts_with(data) {
                return None;
            }
        }
        match self.ask() {
            Ok(Some(ask)) => Some(Arrival::Request(ask)),
            Ok(None) => None,
            Err(refusal) => Some(Arrival::Refused(refusal)),
        }
    }

    /// Gives back the memory of the last request and waits for the next.
    fn rest(&mut self) {
        self.input.rest(&self.worker.buffers);
        self.reply.rest(&self.worker.buffers);
        for text in [&mut self.output, &mut self.answer] {
            text.clear();
            if text.capacity() > KEPT {
                *text = Vec::new();
            }
        }
    }

    /// Answers by itself.
    pub(crate) async fn refuse(&mut self, refusal: &Refusal) -> After {
        let now = Instant::now();
        let keep_alive = refusal.keep_alive && !self.worker.is_closing();
        let stamp = self.worker.stamp.at(now);
        if self.id.is_empty() {
            self.id.extend_from_slice(&self.worker.ids.next());
        }
        self.answer.clear();
        refusal.answer.write(&self.id, &stamp, keep_alive, refusal.to_head, &mut self.answer);
        tracing::debug!(
            peer = self.peer,
            status = refusal.answer.status,
            text = refusal.answer.text,
            "answered by the edge"
        );
        self.watch.renew(self.worker.config.limits.rate_grace);
        let written = poll_fn(|cx| self.poll_answer(cx)).await;
        match written {
            Ok(()) if keep_alive => {
                let idle = millis(self.worker.config.limits.idle);
                self.watch.until(Phase::Idle, self.worker.now(now) + idle);
                After::Next
            }
            Ok(()) => After::Close,
            Err(_) => After::Cut,
        }
    }

    /// Writes what is left of `answer`; ready when nothing is.
    pub(crate) fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.watch.expired(cx) {
            return Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()));
        }
        while !self.answer.is_empty() {
            self.watch.turn(Phase::Client);
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.answer))?;
            self.watch.moved(n);
            self.answer.drain(..n);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends the connection so that the client gets all that was written: a reset would overtake it (RFC 9112 §9.6).
    async fn finish(&mut self) {
        let limits = &self.worker.config.limits;
        self.watch.renew(limits.rate_grace);
        let time = millis(limits.head_time.min(limits.rate_grace));
        self.watch.until(Phase::Linger, self.worker.now(Instant::now()) + time);
        let shut = poll_fn(|cx| {
            if self.watch.expired(cx) {
                Poll::Ready(Ok(()))
            } else {
                Pin::new(&mut self.stream).poll_shutdown(cx)
            }
        });
        if shut.await.is_err() {
            return;
        }
        let mut discarded = 0;
        while discarded < DISCARDED {
            self.input.clear();
            let read = poll_fn(|cx| {
                if self.watch.expired(cx) {
                    return Poll::Ready(Ok(0));
                }
                self.input.poll_fill(&mut self.stream, cx, &self.worker.buffers)
            });
            match read.await {
                Ok(n) if n > 0 => discarded += n,
                _ => return,
            }
        }
    }
}
