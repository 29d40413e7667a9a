//! Bodies on their way: the client's, held to its bounds, and the workload's, which keeps its request open.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use super::client::Lease;
use super::pipe::Reader;
use super::pressure::Share;
use crate::config::Limits;

/// Why a body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Cut {
    #[error("the client left")]
    Gone,
    #[error("the client was too slow")]
    TooSlow,
    #[error("the body is too large")]
    TooLarge,
    #[error("the body is malformed")]
    Malformed,
    #[error("the workload broke off")]
    Upstream,
}

/// What is known of a request's body while it is sent.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// All of it was taken.
    ended: Cell<bool>,
    /// Why it ended before its end.
    pub cut: Cell<Option<Cut>>,
    /// The response has begun: the client may take its time.
    pub answered: Cell<bool>,
    told: Notify,
}

impl Progress {
    fn end(&self) {
        self.ended.set(true);
        self.told.notify_waiters();
    }

    /// Resolves when the body was taken to its end.
    pub(super) async fn ended(&self) {
        let told = self.told.notified();
        if !self.ended.get() {
            told.await;
        }
    }
}

#[derive(Debug)]
pub(super) enum Source {
    Empty,
    Http2(Incoming),
    Http1(Reader),
}

/// A client's body on its way to a workload.
#[derive(Debug)]
pub(crate) struct Outgoing {
    source: Source,
    allowance: u64,
    pace: Option<Pace>,
    pub progress: Rc<Progress>,
}

impl Outgoing {
    /// `paced`: the client has to keep the least rate until the response begins.
    pub(super) fn new(source: Source, paced: bool, limits: &Limits, progress: Rc<Progress>) -> Self {
        if matches!(source, Source::Empty) {
            progress.end();
        }
        let pace = paced.then(|| Pace::new(limits));
        Self { source, allowance: limits.body_bytes, pace, progress }
    }

    fn cut(&mut self, cut: Cut) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        self.progress.cut.set(Some(cut));
        self.progress.end();
        self.source = Source::Empty;
        Poll::Ready(Some(Err(cut)))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Empty => return Poll::Ready(None),
            Source::Http1(reader) => reader.poll_frame(cx),
            Source::Http2(incoming) => Pin::new(incoming).poll_frame(cx).map_err(|_| Cut::Gone),
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let n = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                let Some(left) = this.allowance.checked_sub(n) else { return this.cut(Cut::TooLarge) };
                this.allowance = left;
                if let Some(pace) = &mut this.pace {
                    pace.earn(n);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(cut))) => this.cut(cut),
            Poll::Ready(None) => {
                this.progress.end();
                Poll::Ready(None)
            }
            Poll::Pending => {
                let slow = !this.progress.answered.get()
                    && this.pace.as_mut().is_some_and(|pace| pace.poll_spent(cx).is_ready());
                if slow { this.cut(Cut::TooSlow) } else { Poll::Pending }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Http2(incoming) => incoming.is_end_stream(),
            Source::Http1(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Http2(incoming) => incoming.size_hint(),
            Source::Http1(_) => SizeHint::default(),
        }
    }
}

/// How long a client may still keep us waiting; bytes earn time.
#[derive(Debug)]
struct Pace {
    credit: Duration,
    grace: Duration,
    rate: u32,
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Pace {
    fn new(limits: &Limits) -> Self {
        Self {
            credit: limits.rate_grace,
            grace: limits.rate_grace,
            rate: limits.min_rate.max(1),
            waiting: None,
        }
    }

    fn earn(&mut self, bytes: u64) {
        if let Some((since, _)) = self.waiting.take() {
            self.credit = self.credit.saturating_sub(since.elapsed());
        }
        let earned = Duration::from_millis(bytes.saturating_mul(1000) / u64::from(self.rate));
        self.credit = self.credit.saturating_add(earned).min(self.grace);
    }

    fn poll_spent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let credit = self.credit;
        let (_, sleep) =
            self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(tokio::time::sleep(credit))));
        sleep.as_mut().poll(cx)
    }
}

/// A workload's body on its way to an HTTP/2 client, or an answer of the edge's own.
pub(super) enum Relayed {
    Upstream {
        body: Incoming,
        /// Keeps the request open; given back at the end.
        lease: Option<Lease>,
        /// Its part in what the client has to take.
        share: Share,
        /// Run when all is done, or given up: `true` when the body was whole.
        done: Option<Box<dyn FnOnce(bool)>>,
    },
    Text(Option<Bytes>),
}

impl Relayed {
    fn finish(&mut self, whole: bool) {
        if let Self::Upstream { lease, done, share, .. } = self {
            share.asked();
            if let Some(lease) = lease.take() {
                lease.end(whole);
            }
            if let Some(done) = done.take() {
                done(whole);
            }
        }
    }
}

impl Drop for Relayed {
    fn drop(&mut self) {
        // A body that hyper knows to be empty is never polled.
        let whole = self.is_end_stream();
        self.finish(whole);
    }
}

impl Body for Relayed {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = self.get_mut();
        let frame = match this {
            Self::Text(text) => return Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Self::Upstream { body, share, .. } => {
                share.asked();
                let frame = ready!(Pin::new(body).poll_frame(cx));
                if frame.as_ref().is_some_and(|f| f.as_ref().is_ok_and(Frame::is_data)) {
                    share.gave();
                }
                frame
            }
        };
        match frame {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(frame))),
            Some(Err(_)) => {
                this.finish(false);
                Poll::Ready(Some(Err(Cut::Upstream)))
            }
            None => {
                this.finish(true);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Upstream { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, |t| t.len() as u64)),
            Self::Upstream { body, .. } => body.size_hint(),
        }
    }
}
