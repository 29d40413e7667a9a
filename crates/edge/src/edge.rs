//! The edge as its owner sees it: made, started, told its routes, watched, stopped.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::error::EdgeError;
use crate::listen::{self, Listen};
use crate::routes::Routes;
use crate::stats::Stats;
use crate::worker::{self, Gauges, Order};

/// The HTTP gateway of a node. Cheap to clone; when the last clone is dropped its connections are cut.
#[derive(Debug, Clone)]
pub struct Edge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Arc<Config>,
    routes: Routes,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    workers: Vec<Handle>,
    listeners: Vec<Listening>,
    stopped: bool,
}

#[derive(Debug)]
struct Handle {
    orders: mpsc::UnboundedSender<Order>,
    gauges: Arc<Gauges>,
    thread: std::thread::JoinHandle<()>,
}

/// The sockets behind one address, to be handed to another edge.
#[derive(Debug)]
pub struct Listening {
    /// Where they listen.
    pub addr: SocketAddr,
    /// Whether they were started by [`Edge::start_tls`].
    pub tls: bool,
    /// Duplicates of the sockets: they listen as long as one of them is open anywhere.
    pub sockets: Vec<TcpListener>,
}

impl Edge {
    /// Makes an edge; nothing runs yet.
    #[must_use]
    pub fn new(mut config: Config) -> Self {
        if config.workers == 0 {
            config.workers = std::thread::available_parallelism().map_or(1, usize::from);
        }
        config.limits.head_bytes = config.limits.head_bytes.min(crate::io::BUFFER - 1);
        let routes = Routes::new(config.workers);
        Self { inner: Arc::new(Inner { config: Arc::new(config), routes, state: Mutex::default() }) }
    }

    /// The routing table.
    #[must_use]
    pub fn routes(&self) -> &Routes {
        &self.inner.routes
    }

    /// Starts to serve HTTP/1.1 and HTTP/2 (prior knowledge) there; returns the address. May be called for several.
    pub fn start(&self, listen: impl Into<Listen>) -> Result<SocketAddr, EdgeError> {
        self.listen(listen.into(), false)
    }

    /// Starts to serve over TLS there, with [`Config::tls`]; without one it serves as [`Edge::start`] does.
    pub fn start_tls(&self, listen: impl Into<Listen>) -> Result<SocketAddr, EdgeError> {
        self.listen(listen.into(), true)
    }

    fn listen(&self, listen: Listen, tls: bool) -> Result<SocketAddr, EdgeError> {
        let mut state = self.lock();
        if state.stopped {
            return Err(EdgeError::Stopped);
        }
        let (sockets, addr) = listen::open(listen, self.inner.config.workers)?;
        self.start_workers(&mut state)?;
        // Fewer sockets than workers: some share one. More: some have several.
        for i in 0..sockets.len().max(state.workers.len()) {
            let socket = sockets[i % sockets.len()].try_clone().map_err(EdgeError::Worker)?;
            let worker = &state.workers[i % state.workers.len()];
            worker.orders.send(Order::Listen(socket, tls)).map_err(|_| EdgeError::Stopped)?;
        }
        state.listeners.push(Listening { addr, tls, sockets });
        Ok(addr)
    }

    fn start_workers(&self, state: &mut State) -> Result<(), EdgeError> {
        while state.workers.len() < self.inner.config.workers {
            let index = state.workers.len();
            let (orders, received) = mpsc::unbounded_channel();
            let gauges = Arc::new(Gauges::default());
            let (config, routes) = (self.inner.config.clone(), self.inner.routes.clone());
            let of_worker = gauges.clone();
            let thread = std::thread::Builder::new()
                .name(format!("edge-{index}"))
                .spawn(move || {
                    if let Err(error) = worker::run(index, config, routes, of_worker, received) {
                        tracing::error!(%error, index, "an edge worker could not start");
                    }
                })
                .map_err(EdgeError::Worker)?;
            state.workers.push(Handle { orders, gauges, thread });
        }
        Ok(())
    }

    /// Duplicates of all listening sockets, for an edge that takes over (in another process, too): give them to
    /// [`Listen::Adopt`] there, then [`Edge::stop`] this one.
    pub fn listeners(&self) -> std::io::Result<Vec<Listening>> {
        let state = self.lock();
        let copy = |l: &Listening| {
            let sockets = l.sockets.iter().map(TcpListener::try_clone).collect::<std::io::Result<_>>()?;
            Ok(Listening { addr: l.addr, tls: l.tls, sockets })
        };
        state.listeners.iter().map(copy).collect()
    }

    /// Stops: no new connections, `Connection: close` with the next response of each, requests that are open are
    /// finished. Connections that wait for a request get half of `grace` for a last one. Returns how many were cut.
    pub async fn stop(&self, grace: Duration) -> usize {
        self.stop_after(grace / 2, grace).await
    }

    /// [`Edge::stop`] where connections that wait for a request get `linger` for a last one.
    pub async fn stop_after(&self, linger: Duration, grace: Duration) -> usize {
        let workers = {
            let mut state = self.lock();
            state.stopped = true;
            // Closed at once: what nobody accepts any more must be refused, not left waiting.
            state.listeners.clear();
            std::mem::take(&mut state.workers)
        };
        let mut answers = Vec::with_capacity(workers.len());
        for worker in &workers {
            let (done, answer) = oneshot::channel();
            if worker.orders.send(Order::Stop { linger, grace, done }).is_ok() {
                answers.push(answer);
            }
        }
        let mut cut = 0;
        for answer in answers {
            cut += answer.await.unwrap_or(0);
        }
        let join = move || workers.into_iter().for_each(|w| drop(w.thread.join()));
        // The threads have nothing left to do but end.
        let _ = tokio::task::spawn_blocking(join).await;
        cut
    }

    /// All counters, now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.lock();
        let sum = |of: fn(&Gauges) -> u64| state.workers.iter().map(|w| of(&w.gauges)).sum();
        Stats {
            connections: sum(|g| g.connections.load(Relaxed)),
            accepted: sum(|g| g.accepted.load(Relaxed)),
            apps: self.inner.routes.app_stats(),
            unrouted: self.inner.routes.unrouted(),
        }
    }

    /// Appends all counters as Prometheus text.
    pub fn prometheus(&self, out: &mut String) {
        self.stats().prometheus(out);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
