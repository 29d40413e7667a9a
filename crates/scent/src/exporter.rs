//! The queues and the tasks that empty them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::counts::{Count, Counts, Kind};
use crate::log::{self, Record};
use crate::metric::{self, Time};
use crate::send::{Refused, Sender};
use crate::trace::{self, nanos};
use crate::{Attributes, Settings};

/// Spans and records that wait, each.
const QUEUE: usize = 2048;
/// How many are sent at once,
const BATCH: usize = 512;
/// of about so many bytes: collectors take 4 MiB.
const BATCH_BYTES: usize = 1 << 20;
/// How long it is gathered for a batch.
const GATHERED: Duration = Duration::from_secs(1);
/// How long it is waited after a failure; doubled with each further one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(15));

/// What runs for as long as the node does; its end is nobody's concern but that of what it sent.
pub type Task = Pin<Box<dyn Future<Output = &'static str> + Send>>;

/// The way to the collector; cheap to clone.
#[derive(Debug, Clone)]
pub struct Scent {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: Arc<Settings>,
    attributes: Arc<Attributes>,
    tls: Option<Arc<ClientConfig>>,
    spans: mpsc::Sender<telemetry::Span>,
    records: mpsc::Sender<Record>,
    counts: [Arc<Counts>; 3],
    stage: watch::Sender<Stage>,
}

/// How far it is with it all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    HandedOver,
    Closing,
}

impl telemetry::Sink for Scent {
    fn take(&self, span: telemetry::Span) {
        if self.inner.spans.try_send(span).is_err() {
            self.counts(Kind::Traces).dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Scent {
    /// A way to the collector, and the tasks that empty its queues. `attributes` say who tells; what the settings say of
    /// that comes first. `tls` is for an endpoint that is asked for with it.
    #[must_use]
    pub fn new(
        settings: Settings,
        attributes: Attributes,
        tls: Option<Arc<ClientConfig>>,
    ) -> (Self, Vec<Task>) {
        let said = |key: &str| settings.attributes.iter().any(|(said, _)| said == key);
        let own = attributes.into_iter().filter(|(key, _)| !said(key));
        let attributes: Arc<Attributes> = Arc::new(own.chain(settings.attributes.iter().cloned()).collect());
        let (spans, queued_spans) = mpsc::channel(QUEUE);
        let (records, queued_records) = mpsc::channel(QUEUE);
        let scent = Self {
            inner: Arc::new(Inner {
                settings: Arc::new(settings),
                attributes: attributes.clone(),
                tls,
                spans,
                records,
                counts: [(); 3].map(|()| Arc::new(Counts::default())),
                stage: watch::Sender::new(Stage::Open),
            }),
        };
        let mut tasks: Vec<Task> = Vec::new();
        if scent.tells(Kind::Traces) {
            let encode: Encode<telemetry::Span> = (trace::request, trace::rejected, |_| 1024);
            tasks.push(Box::pin(empty(queued_spans, scent.way(Kind::Traces), attributes.clone(), encode)));
        }
        if scent.tells(Kind::Logs) {
            let encode: Encode<Record> = (log::request, log::rejected, Record::weight);
            tasks.push(Box::pin(empty(queued_records, scent.way(Kind::Logs), attributes, encode)));
        }
        (scent, tasks)
    }

    /// The task that tells all counters: `exposed` gives them as Prometheus text.
    pub fn expose<F, R>(&self, exposed: F) -> Option<Task>
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = String> + Send + 'static,
    {
        let (attributes, every) = (self.inner.attributes.clone(), self.inner.settings.interval);
        let task = || -> Task { Box::pin(tell(exposed, self.way(Kind::Metrics), attributes, every)) };
        self.tells(Kind::Metrics).then(task)
    }

    /// Whether it was asked for things of this kind.
    #[must_use]
    pub fn tells(&self, kind: Kind) -> bool {
        !self.inner.settings.without.contains(&kind)
    }

    /// How it tells.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    fn way(&self, kind: Kind) -> Way {
        let Inner { settings, tls, stage, .. } = &*self.inner;
        Way {
            kind,
            sender: Sender::new(settings.clone(), tls.clone(), kind),
            counts: self.counts(kind).clone(),
            stage: stage.subscribe(),
            away: false,
        }
    }

    /// Whether there is room for another record.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.inner.records.capacity() > 0
    }

    /// Tells of an event, or a line; counts it as dropped where there is no room.
    pub fn record(&self, record: Record) {
        if self.inner.records.try_send(record).is_err() {
            self.counts(Kind::Logs).dropped.fetch_add(1, Relaxed);
        }
    }

    /// Records that were lost before they came here.
    pub fn lost(&self, records: u64) {
        self.counts(Kind::Logs).dropped.fetch_add(records, Relaxed);
    }

    /// What became of it all.
    #[must_use]
    pub fn count(&self, kind: Kind) -> Count {
        self.counts(kind).read()
    }

    /// From now on a successor tells what counts and what is written; here open requests end.
    pub fn hand_over(&self) {
        self.inner.stage.send_if_modified(|stage| {
            *stage == Stage::Open && std::mem::replace(stage, Stage::HandedOver) == Stage::Open
        });
    }

    /// Resolves when a successor tells of the rest, or nobody does.
    pub async fn over(&self) {
        let mut stage = self.inner.stage.subscribe();
        // The sender is here.
        let _ = stage.wait_for(|stage| *stage > Stage::Open).await;
    }

    /// Sends what is queued, once; returns when that is done, or after `limit`.
    pub async fn close(&self, limit: Duration) {
        self.inner.stage.send_replace(Stage::Closing);
        // Each task has an ear to it until it ends.
        let _ = tokio::time::timeout(limit, self.inner.stage.closed()).await;
    }

    fn counts(&self, kind: Kind) -> &Arc<Counts> {
        &self.inner.counts[kind as usize]
    }
}

/// How a batch is written, how the answer to it is read, and what one thing weighs.
type Encode<T> = (fn(&Attributes, &[T]) -> Vec<u8>, fn(&[u8]) -> u64, fn(&T) -> usize);

/// Sends what is queued, until nobody can queue any more or it is to be closed.
async fn empty<T>(
    mut queued: mpsc::Receiver<T>,
    mut way: Way,
    attributes: Arc<Attributes>,
    (write, rejected, weigh): Encode<T>,
) -> &'static str {
    let mut stage = way.stage.clone();
    loop {
        let first = tokio::select! {
            biased;
            first = queued.recv() => first,
            _ = stage.wait_for(|stage| *stage == Stage::Closing) => queued.try_recv().ok(),
        };
        let Some(first) = first else { return way.name() };
        let mut weight = weigh(&first);
        let mut batch = vec![first];
        let end = Instant::now() + GATHERED;
        while batch.len() < BATCH && weight < BATCH_BYTES {
            let next = if *stage.borrow() == Stage::Closing {
                queued.try_recv().ok()
            } else {
                tokio::select! {
                    biased;
                    next = timeout_at(end, queued.recv()) => next.ok().flatten(),
                    _ = stage.wait_for(|stage| *stage == Stage::Closing) => continue,
                }
            };
            let Some(next) = next else { break };
            weight += weigh(&next);
            batch.push(next);
        }
        way.deliver(write(&attributes, &batch).into(), batch.len(), rejected).await;
    }
}

/// Tells what `exposed` shows, again and again, and once more at the end.
async fn tell<F, R>(exposed: F, mut way: Way, attributes: Arc<Attributes>, every: Duration) -> &'static str
where
    F: Fn() -> R,
    R: Future<Output = String>,
{
    let start = nanos(SystemTime::now());
    let mut stage = way.stage.clone();
    loop {
        tokio::select! {
            () = sleep(every) => {}
            _ = stage.wait_for(|stage| *stage > Stage::Open) => {}
        }
        let text = exposed().await;
        let time = Time { start, now: nanos(SystemTime::now()) };
        let (message, count) = metric::request(&attributes, &text, time);
        // Not tried again: what is told next says the same, and more.
        let _ = way.try_once(&message.into(), count, metric::rejected).await;
        if *stage.borrow() > Stage::Open {
            return way.name();
        }
    }
}

/// The way of one kind of thing, and whether it was open last.
struct Way {
    kind: Kind,
    sender: Sender,
    counts: Arc<Counts>,
    stage: watch::Receiver<Stage>,
    away: bool,
}

impl Way {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Traces => "spans over OTLP",
            Kind::Metrics => "metrics over OTLP",
            Kind::Logs => "logs over OTLP",
        }
    }

    /// Sends a message until it is taken, or refused for ever, or it is to be closed.
    async fn deliver(&mut self, message: Bytes, count: usize, rejected: fn(&[u8]) -> u64) {
        let mut pause = PAUSES.0;
        loop {
            match self.try_once(&message, count, rejected).await {
                Ok(()) => return,
                Err(Refused::Now(_)) if *self.stage.borrow() != Stage::Closing => {}
                Err(_) => {
                    self.counts.dropped.fetch_add(count as u64, Relaxed);
                    return;
                }
            }
            tokio::select! {
                () = sleep(pause) => {}
                _ = self.stage.wait_for(|stage| *stage == Stage::Closing) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn try_once(
        &mut self,
        message: &Bytes,
        count: usize,
        rejected: fn(&[u8]) -> u64,
    ) -> Result<(), Refused> {
        let what = self.kind.as_str();
        match self.sender.send(message).await {
            Ok(answer) => {
                let rejected = rejected(&answer).min(count as u64);
                self.counts.sent.fetch_add(count as u64 - rejected, Relaxed);
                self.counts.dropped.fetch_add(rejected, Relaxed);
                if std::mem::take(&mut self.away) {
                    let dropped = self.counts.dropped.load(Relaxed);
                    tracing::info!(what, dropped, "the collector is back: telling goes on");
                }
                Ok(())
            }
            Err(refused) => {
                self.counts.failures.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut self.away, true) {
                    let (Refused::Now(why) | Refused::Ever(why)) = &refused;
                    let at = self.sender.endpoint();
                    tracing::warn!(what, %at, why, "the collector doesn't take what this node tells; requests don't wait for it");
                }
                Err(refused)
            }
        }
    }
}
