//! One request and its response: which endpoint, on which connection, and what to do when that fails.
//!
//! A request may go to another endpoint as long as no byte of a response came, all that was sent of it is still at
//! hand, and either nothing was sent or its method may be repeated (RFC 9110 §9.2.2).

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::ask::{Ask, Refusal};
use super::conn::{After, Conn};
use super::head::Malformed;
use crate::hold;
use crate::io::Far;
use crate::mux::pick;
use crate::table::Protocol;
use crate::worker::view::{Open, Upstream};
use crate::worker::watch::{Phase, millis};

/// A connection that was idle for less may carry a request that can't be repeated without being asked first.
const SURELY_OPEN: Duration = Duration::from_millis(20);

/// A request that is being carried to one endpoint.
#[derive(Debug)]
pub(crate) struct Flow {
    pub ask: Ask,
    /// How much of [`Conn::output`] is sent.
    pub sent: usize,
    /// Whether [`Conn::output`] still holds all that was sent.
    pub whole: bool,
    /// Bytes of the body at the start of the input, checked and not yet sent.
    pub passing: usize,
    /// The workload takes no more of the request.
    pub deaf: bool,
    /// Whether the workload got a byte of the request, on any connection.
    pub touched: bool,
    /// Whether the client's connection outlives the response; known with the response's head.
    pub stays: bool,
}

/// Why a request didn't get its whole response.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The client's: it left, was too slow, or sent what can't be.
    Client(ClientFault),
    /// The workload's.
    Upstream(UpstreamFault),
}

#[derive(Debug)]
pub(crate) enum ClientFault {
    Gone,
    TooSlow,
    TooLarge,
    Malformed(Malformed),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamFault {
    #[error("can't be connected to: {0}")]
    Connect(io::Error),
    #[error("closed the connection before it answered")]
    Closed,
    #[error("broke the connection before it answered: {0}")]
    Broken(io::Error),
    #[error("answered with {0}")]
    Malformed(Malformed),
    #[error("answered with a head that is too long")]
    HeadTooLong,
    #[error("changed protocols without being asked")]
    Unasked,
    #[error("took too long to answer")]
    TooSlow,
}

impl UpstreamFault {
    /// Whether another endpoint may do better: this one gave no byte of a response.
    fn is_silent(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Closed | Self::Broken(_))
    }
}

/// A connection to a workload, in use.
#[derive(Debug)]
pub(crate) struct Up {
    pub io: Far,
    /// Whether it comes from the pool and nothing was sent on it since.
    pub idle: bool,
}

impl Conn {
    /// Carries a request to an endpoint and its response back.
    pub(crate) async fn exchange(&mut self, ask: Ask) -> After {
        let service = ask.service.clone();
        let shard = service.app.shard(self.worker.index);
        shard.start();
        let started = ask.started;
        let limits = &self.worker.config.limits;
        self.watch.renew(limits.rate_grace);
        let closing_after = !ask.request.keep_alive;
        let mut flow = Flow::new(ask);
        let (status, mut after) = match self.admit_first(&mut flow) {
            Ok(()) => self.attempts(&mut flow).await,
            Err(fault) => self.blame_client(&fault).await,
        };
        let now = Instant::now();
        let took = now - started;
        service.app.end(self.worker.index, status, took);
        if let Some(draft) = flow.ask.draft.take() {
            self.worker.record(draft, status, took);
        }
        tracing::debug!(
            app = service.app.name.as_str(),
            peer = self.peer,
            id = %String::from_utf8_lossy(&self.id),
            status,
            micros = took.as_micros(),
            "request"
        );
        if after == After::Next && closing_after {
            after = After::Close;
        }
        self.watch.until(Phase::Idle, self.worker.now(now) + millis(self.worker.config.limits.idle));
        after
    }

    /// Tries endpoints until one answers or none is left to try. Returns the status for the counters.
    async fn attempts(&mut self, flow: &mut Flow) -> (u16, After) {
        let worker = self.worker.clone();
        let mut tried: Vec<Rc<Upstream>> = Vec::new();
        let mut last: Option<(String, UpstreamFault)> = None;
        loop {
            let found = match pick(&worker, &mut flow.ask.service, &tried) {
                Some(open) => Ok(open),
                None if tried.is_empty() => {
                    // Nothing is asked of the client meanwhile, and nothing read of what it sends.
                    self.watch.until(Phase::Upstream, u64::MAX / 2);
                    hold::pick(&worker, &mut flow.ask.service).await
                }
                None => Err(last.map_or_else(
                    || Answer::no_endpoint(flow.ask.service.app.name.as_str()),
                    |(endpoint, fault)| failure(&endpoint, &fault),
                )),
            };
            let open = match found {
                Ok(open) => open,
                Err(answer) => return self.give_up(flow, answer).await,
            };
            if open.upstream.endpoint.protocol == Protocol::H2c {
                drop(open);
                return self.translate(flow).await;
            }
            if let Some(draft) = &mut flow.ask.draft {
                draft.to(&open.upstream.endpoint);
            }
            let fault = match self.on(flow, &open).await {
                Ok(done) => return done,
                Err(Fault::Client(fault)) => return self.blame_client(&fault).await,
                Err(Fault::Upstream(fault)) => fault,
            };
            let endpoint = &open.upstream.endpoint;
            tracing::debug!(endpoint = endpoint.id, %fault, "attempt failed");
            if fault.is_silent() {
                worker.set_aside(&open.upstream, &fault.to_string());
            }
            let again = fault.is_silent()
                && flow.may_repeat()
                && tried.len() + 1 < worker.config.limits.attempts as usize;
            if !again {
                return self.give_up(flow, failure(&endpoint.id, &fault)).await;
            }
            flow.retried(&fault);
            last = Some((endpoint.id.clone(), fault));
            tried.push(open.upstream.clone());
            flow.ask.service.app.shard(worker.index).retry();
        }
    }

    /// Tries one endpoint: on a pooled connection first, on a fresh one when that turns out to be stale.
    async fn on(&mut self, flow: &mut Flow, open: &Open) -> Result<(u16, After), Fault> {
        if let Some(up) = take_pooled(open, flow.ask.request.method.may_repeat(), flow.ask.started) {
            match self.over(flow, open, up).await {
                Err(Fault::Upstream(fault)) if fault.is_silent() && flow.may_repeat() => {
                    flow.ask.service.app.shard(self.worker.index).retry();
                    flow.retried(&fault);
                }
                done => return done,
            }
        }
        let limit = self.worker.config.limits.connect;
        let connecting = Far::connect(&open.upstream.endpoint.reach, limit);
        let io = connecting.await.map_err(|e| Fault::Upstream(UpstreamFault::Connect(e)))?;
        self.over(flow, open, Up { io, idle: false }).await
    }

    /// Carries the request over one connection.
    async fn over(&mut self, flow: &mut Flow, open: &Open, mut up: Up) -> Result<(u16, After), Fault> {
        flow.sent = 0;
        flow.deaf = false;
        self.reply.clear();
        let patience = millis(self.worker.config.limits.response);
        self.watch.patience(patience);
        self.watch.until(Phase::Upstream, self.worker.now(flow.ask.started) + patience);
        let response = poll_fn(|cx| self.poll_response(cx, &mut up, flow)).await?;
        open.upstream.endpoint.worked();
        if response.status == 101 {
            return Ok((101, self.tunnel(up).await));
        }
        let after = self.relay(flow, open, up, &response).await;
        Ok((response.status, after))
    }

    async fn give_up(&mut self, flow: &Flow, answer: Answer) -> (u16, After) {
        let status = answer.status;
        let mut refusal = Refusal::to(&flow.ask.request, answer);
        refusal.keep_alive &= flow.ask.body.is_done();
        (status, self.refuse(&refusal).await)
    }

    async fn blame_client(&mut self, fault: &ClientFault) -> (u16, After) {
        let refusal = match fault {
            ClientFault::Gone => return (499, After::Cut),
            ClientFault::TooSlow => {
                Refusal::of(Answer::new(408, "the request's body took too long to arrive"))
            }
            ClientFault::TooLarge => {
                Refusal::of(Answer::new(413, "the request was refused: its body is too large"))
            }
            ClientFault::Malformed(malformed) => Refusal::from(*malformed),
        };
        (refusal.answer.status, self.refuse(&refusal).await)
    }
}

impl Flow {
    fn new(ask: Ask) -> Self {
        Self { ask, sent: 0, whole: true, passing: 0, deaf: false, touched: false, stays: false }
    }

    /// Whether the workload has all of the request; `output` is the length of [`Conn::output`].
    pub(super) fn is_sent(&self, output: usize) -> bool {
        self.ask.body.is_done() && self.sent == output && self.passing == 0 && !self.deaf
    }

    fn retried(&mut self, fault: &UpstreamFault) {
        if let Some(draft) = &mut self.ask.draft {
            draft.again(&fault.to_string());
        }
    }

    /// Whether the request can be sent once more without doing what was done already.
    fn may_repeat(&self) -> bool {
        self.whole && (!self.touched || self.ask.request.method.may_repeat())
    }
}

/// A pooled connection that is still open as far as can be told.
fn take_pooled(open: &Open, may_repeat: bool, now: Instant) -> Option<Up> {
    while let Some((mut io, since)) = open.upstream.take_idle() {
        // Nothing is to be read from an idle connection, unless it was closed. A request that can't be repeated asks
        // the system itself; for others it is enough that no event came.
        let surely = may_repeat || now.saturating_duration_since(since) < SURELY_OPEN;
        if surely || io.is_open() {
            return Some(Up { io, idle: true });
        }
    }
    None
}

fn failure(endpoint: &str, fault: &UpstreamFault) -> Answer {
    let status = if matches!(fault, UpstreamFault::TooSlow) { 504 } else { 502 };
    Answer { retry_after: Some(1), ..Answer::new(status, format!("{endpoint} {fault}")) }
}
