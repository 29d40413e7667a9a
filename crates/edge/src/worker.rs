//! A worker: one thread with its own runtime, listening sockets, connections, pools and counters.
//!
//! Workers share only the routing table and each endpoint's flags. Long-lived tasks of a worker:
//!
//! | task | ends | then |
//! |---|---|---|
//! | orders | when the edge is dropped | the worker ends, connections are cut |
//! | accept, one a listener | when the worker stops | no new connections |
//! | tick | with the worker | |
//! | routes | with the worker | |
//! | a connection | by itself, or by a panic | the others don't notice |
//! | a probe | when its endpoint answers or leaves the table | |

mod accept;
pub(crate) mod stamp;
pub(crate) mod view;
pub(crate) mod watch;

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Config;
use crate::http1::head::Head;
use crate::io::{Buffers, Far};
use crate::routes::Routes;
use crate::trace;
use stamp::{Ids, Stamp};
use view::{Upstream, View};
use watch::{Phase, Watch, Watches, millis};

/// The longest time between two ticks.
const TICK: Duration = Duration::from_millis(250);

/// What a worker is told by its edge.
pub(crate) enum Order {
    /// Accept connections from this socket; `true` for TLS.
    Listen(TcpListener, bool),
    /// Stop accepting, let connections end; says how many had to be cut.
    Stop {
        /// How long connections that wait for a request may wait for a last one.
        linger: Duration,
        /// When the rest is cut.
        grace: Duration,
        done: oneshot::Sender<usize>,
    },
}

/// Counters of a worker that its edge reads.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    pub connections: AtomicU64,
    pub accepted: AtomicU64,
}

/// What the tasks of one worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub index: usize,
    pub config: Arc<Config>,
    pub routes: Routes,
    pub gauges: Arc<Gauges>,
    pub buffers: Buffers,
    pub stamp: Stamp,
    pub ids: Ids,
    /// Ids of traces and spans.
    pub traces: trace::Ids,
    /// The head that is being read; only between two waits.
    pub head: RefCell<Head>,
    view: RefCell<Rc<View>>,
    watches: Watches,
    closing: Cell<bool>,
    /// When idle connections stop waiting for a last request.
    linger: Cell<u64>,
    started: Instant,
    /// A connection came: there is something to watch.
    came: Notify,
    /// A connection went: there is room for another, or none is left.
    went: Notify,
    stopping: Notify,
    /// Requests that wait for a replica, and who tells them to look again.
    pub held: Cell<usize>,
    pub rerouted: Notify,
}

/// Runs a worker until its edge is dropped or it was stopped.
pub(crate) fn run(
    index: usize,
    config: Arc<Config>,
    routes: Routes,
    gauges: Arc<Gauges>,
    orders: mpsc::UnboundedReceiver<Order>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    let worker = Rc::new(Worker::new(index, config, routes, gauges));
    runtime.block_on(worker.obey(orders));
    Ok(())
}

impl Worker {
    fn new(index: usize, config: Arc<Config>, routes: Routes, gauges: Arc<Gauges>) -> Self {
        let started = Instant::now();
        Self {
            index,
            config,
            routes,
            gauges,
            buffers: Buffers::default(),
            stamp: Stamp::new(started),
            ids: Ids::new(),
            traces: trace::Ids::new(),
            head: RefCell::default(),
            view: RefCell::default(),
            watches: Watches::default(),
            closing: Cell::new(false),
            linger: Cell::new(u64::MAX),
            started,
            came: Notify::new(),
            went: Notify::new(),
            stopping: Notify::new(),
            held: Cell::new(0),
            rerouted: Notify::new(),
        }
    }

    async fn obey(self: Rc<Self>, mut orders: mpsc::UnboundedReceiver<Order>) {
        tokio::task::spawn_local(self.clone().tick());
        tokio::task::spawn_local(self.clone().follow_routes());
        let mut accepting = JoinSet::new();
        while let Some(order) = orders.recv().await {
            match order {
                Order::Listen(listener, tls) => match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => drop(accepting.spawn_local(self.clone().accept(listener, tls))),
                    Err(error) => tracing::error!(%error, "an edge worker can't use its listening socket"),
                },
                Order::Stop { linger, grace, done } => {
                    let cut = self.stop(linger, grace, accepting).await;
                    // Who asked may have stopped waiting.
                    let _ = done.send(cut);
                    return;
                }
            }
        }
    }

    async fn stop(&self, linger: Duration, grace: Duration, mut accepting: JoinSet<()>) -> usize {
        let now = self.now(Instant::now());
        self.linger.set(now + millis(linger));
        self.closing.set(true);
        self.stopping.notify_waiters();
        self.came.notify_one();
        let emptied = async {
            while accepting.join_next().await.is_some() {}
            loop {
                let went = self.went.notified();
                if self.gauges.connections.load(Relaxed) == 0 {
                    return;
                }
                went.await;
            }
        };
        if timeout(grace, emptied).await.is_ok() {
            return 0;
        }
        usize::try_from(self.gauges.connections.load(Relaxed)).unwrap_or(usize::MAX)
    }

    /// Looks at deadlines and idle connections, as long as there are any.
    async fn tick(self: Rc<Self>) {
        let limits = &self.config.limits;
        let shortest = limits.head_time.min(limits.idle).min(limits.rate_grace).min(limits.response);
        let every = (shortest / 8).clamp(Duration::from_millis(5), TICK);
        let mut last = self.now(Instant::now());
        let mut busy = false;
        loop {
            if busy {
                tokio::time::sleep(every).await;
            } else {
                self.came.notified().await;
                last = self.now(Instant::now());
            }
            let instant = Instant::now();
            let now = self.now(instant);
            let watched = self.watches.tick(now, now - last, limits);
            last = now;
            if self.closing.get() && now >= self.linger.get() {
                self.watches.expire(|phase| matches!(phase, Phase::Idle | Phase::Linger));
            }
            let since = instant.checked_sub(limits.pool_idle).unwrap_or(self.started);
            let pooled = self.view().upstreams().fold(false, |any, u| u.prune(since) | any);
            busy = watched | pooled;
        }
    }

    /// Takes over each change of the table at once, so that connections to what left are closed.
    async fn follow_routes(self: Rc<Self>) {
        loop {
            self.routes.changed(self.index).await;
            self.rerouted.notify_waiters();
            for upstream in self.view().upstreams() {
                if upstream.endpoint.is_draining() {
                    upstream.close_idle();
                }
            }
        }
    }

    /// The newest table.
    pub(crate) fn view(&self) -> Rc<View> {
        let mut view = self.view.borrow_mut();
        if view.version != self.routes.version() {
            let newer = Rc::new(View::new(&self.routes.snapshot(), &view));
            *view = newer;
        }
        view.clone()
    }

    /// Milliseconds on the worker's clock.
    pub(crate) fn now(&self, instant: Instant) -> u64 {
        millis(instant.saturating_duration_since(self.started))
    }

    /// Whether connections should end after their next response.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Resolves when the worker is told to stop.
    pub(crate) async fn stopped(&self) {
        let stopping = self.stopping.notified();
        tokio::pin!(stopping);
        stopping.as_mut().enable();
        if !self.closing.get() {
            stopping.await;
        }
    }

    pub(crate) fn watch(&self, phase: Phase, deadline: u64) -> Rc<Watch> {
        self.came.notify_one();
        self.watches.add(phase, deadline, &self.config.limits)
    }

    /// Takes an endpoint out of the round and sees to it that it comes back.
    pub(crate) fn set_aside(self: &Rc<Self>, upstream: &Upstream, why: &str) {
        let endpoint = upstream.endpoint.clone();
        upstream.close_idle();
        if !endpoint.set_aside() {
            return;
        }
        tracing::info!(endpoint = endpoint.id, at = %endpoint.reach, why, "endpoint set aside");
        let worker = self.clone();
        tokio::task::spawn_local(async move {
            while endpoint.is_aside() {
                tokio::time::sleep(endpoint.pause()).await;
                if endpoint.is_draining() {
                    return;
                }
                match Far::connect(&endpoint.reach, worker.config.limits.connect).await {
                    Ok(_) => endpoint.put_back(),
                    Err(_) => endpoint.probe_failed(),
                }
            }
            tracing::info!(endpoint = endpoint.id, "endpoint is back");
        });
    }
}
