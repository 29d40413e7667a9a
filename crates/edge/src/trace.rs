//! Traces: with which context a request goes on, and what is told of it once it has ended (W3C Trace Context).
//!
//! An edge that records nothing puts no span of its own into a trace, and begins none: its decision not to record would
//! be the workload's, too. What isn't recorded costs a header; what is, one allocation at its start and a hand-over at its end.

use std::cell::Cell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use telemetry::{Context, Retry, Sampler, Sink, Span};

use crate::endpoint::Endpoint;
use crate::worker::Worker;

/// Bytes of a path that a span holds.
const PATH_BYTES: usize = 1024;
/// Bytes of any other text.
const TEXT_BYTES: usize = 256;

/// What is recorded of requests, and who takes it.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// Which are recorded.
    pub sampler: Sampler,
    /// Who takes their spans.
    pub sink: Arc<dyn Sink>,
}

/// Random ids: unique, not secret.
#[derive(Debug)]
pub(crate) struct Ids([Cell<u64>; 2]);

impl Ids {
    pub(crate) fn new() -> Self {
        // The keys of a RandomState come from the system's random source.
        let random = || {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_u32(std::process::id());
            Cell::new(hasher.finish())
        };
        Self([random(), random()])
    }

    fn next(&self, which: usize) -> [u8; 8] {
        // SplitMix64: every state gives another number, and only one of 2^64 is 0.
        loop {
            let state = self.0[which].get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.0[which].set(state);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let mixed = mixed ^ (mixed >> 31);
            if mixed != 0 {
                return mixed.to_ne_bytes();
            }
        }
    }

    fn trace(&self) -> [u8; 16] {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.next(0));
        id[8..].copy_from_slice(&self.next(1));
        id
    }
}

/// A request's place in its trace, as the workload is told it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    context: Option<Context>,
    parent: Option<Context>,
    recorded: bool,
}

/// What a request shows of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    pub method: &'a [u8],
    /// The target, or the path and query of it.
    pub path: &'a [u8],
    pub host: &'a [u8],
    pub scheme: &'static str,
    pub version: &'static str,
    pub app: &'a str,
}

/// The span of a request that is being carried.
#[derive(Debug)]
pub(crate) struct Draft {
    span: Box<Span>,
    endpoint: Option<Arc<Endpoint>>,
}

impl Worker {
    /// The place of a request that came with this context.
    pub(crate) fn place(&self, parent: Option<Context>) -> Place {
        let Some(tracing) = &self.config.tracing else {
            return Place { context: parent, parent, recorded: false };
        };
        let trace = parent.map_or_else(|| self.traces.trace(), |parent| parent.trace);
        let recorded = tracing.sampler.samples(parent.as_ref(), &trace);
        let span = self.traces.next(1);
        let begun = || Context::start(trace, span, recorded);
        let context = parent.map_or_else(begun, |parent| parent.child(span, recorded));
        Place { context: Some(context), parent, recorded }
    }

    /// Hands over the span of a request that took so long and was answered so.
    pub(crate) fn record(&self, draft: Draft, status: u16, took: Duration) {
        let Some(tracing) = &self.config.tracing else { return };
        let mut span = draft.span;
        span.ended = span.started + took;
        span.status = status;
        span.endpoint = draft.endpoint.map(|endpoint| endpoint.id.clone());
        tracing.sink.take(*span);
    }
}

impl Place {
    /// The `traceparent` for the workload, if it gets one.
    pub(crate) fn text(&self) -> Option<[u8; telemetry::context::LENGTH]> {
        self.context.as_ref().map(Context::text)
    }

    /// The span, if the request is recorded.
    pub(crate) fn draft(&self, shown: &Shown) -> Option<Draft> {
        let context = self.context.filter(|_| self.recorded)?;
        let now = SystemTime::now();
        let path = shown.path.split(|&b| b == b'?').next().unwrap_or_default();
        let span = Span {
            context,
            parent: self.parent.map(|parent| parent.span),
            started: now,
            ended: now,
            method: text(shown.method, TEXT_BYTES),
            path: text(path, PATH_BYTES),
            host: text(shown.host, TEXT_BYTES),
            scheme: shown.scheme,
            version: shown.version,
            app: shown.app.to_owned(),
            endpoint: None,
            status: 0,
            retries: Vec::new(),
        };
        Some(Draft { span: Box::new(span), endpoint: None })
    }
}

impl Draft {
    /// The request goes to this endpoint.
    pub(crate) fn to(&mut self, endpoint: &Arc<Endpoint>) {
        self.endpoint = Some(endpoint.clone());
    }

    /// It is tried again, here or elsewhere.
    pub(crate) fn again(&mut self, reason: &str) {
        let endpoint = self.endpoint.as_ref().map(|endpoint| endpoint.id.clone()).unwrap_or_default();
        let reason = text(reason.as_bytes(), TEXT_BYTES);
        self.span.retries.push(Retry { at: SystemTime::now(), endpoint, reason });
    }
}

fn text(bytes: &[u8], most: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).into_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_ids_are_alike() {
        let (one, other) = (Ids::new(), Ids::new());
        let ids: BTreeSet<_> = (0..10_000).flat_map(|_| [one.trace(), other.trace()]).collect();
        assert_eq!(ids.len(), 20_000);
        let halves: BTreeSet<_> = ids.iter().map(|id| id[8..].to_vec()).collect();
        assert_eq!(halves.len(), 20_000, "the half by which it is decided what is recorded is random, too");
    }
}
