//! What all tasks of one overlay share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::PublicKey;

use crate::endpoint::Endpoints;
use crate::protocol::{Kind, Protocol};
use crate::table::Table;
use crate::wire::DATAGRAM;
use crate::{Gate, Limits};

/// One overlay.
pub struct Shared {
    /// This node.
    pub me: PublicKey,
    /// A number of this run, told in the greeting.
    pub run: u64,
    pub limits: Limits,
    pub gate: Arc<dyn Gate>,
    pub protocols: BTreeMap<String, Protocol>,
    /// Taken out at the end: the sockets close with the last handle.
    endpoints: Mutex<Option<Arc<Endpoints>>>,
    table: Mutex<Table>,
    /// Where packets are handled. Streams are used from anywhere.
    pub home: Handle,
    /// What carries the rest: accepting, dialling, serving connections.
    pub tasks: TaskTracker,
    /// What may still be finished when the overlay closes: handlers and writers.
    pub work: TaskTracker,
    /// Nothing new begins.
    pub closing: CancellationToken,
    /// Everything ends.
    pub closed: CancellationToken,
    /// What times in links count from.
    pub epoch: Instant,
    /// Handshakes under way with peers that dialled.
    pub handshakes: AtomicUsize,
    /// Connections that peers dialled.
    pub inbound: AtomicUsize,
    /// Strangers among them.
    pub strangers: AtomicUsize,
}

impl Shared {
    /// For endpoints that are bound, on the runtime that this is called on.
    pub fn new(
        run: u64,
        endpoints: Arc<Endpoints>,
        limits: Limits,
        gate: Arc<dyn Gate>,
        protocols: BTreeMap<String, Protocol>,
    ) -> Self {
        Self {
            me: endpoints.tls.identity().me,
            run,
            limits,
            gate,
            protocols,
            endpoints: Mutex::new(Some(endpoints)),
            table: Mutex::default(),
            home: Handle::current(),
            tasks: TaskTracker::new(),
            work: TaskTracker::new(),
            closing: CancellationToken::new(),
            closed: CancellationToken::new(),
            epoch: Instant::now(),
            handshakes: AtomicUsize::new(0),
            inbound: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
        }
    }

    /// The table of peers. Held for moments only, never while waiting.
    pub fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The endpoints, unless they are closed.
    pub fn endpoints(&self) -> Option<Arc<Endpoints>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes the endpoints out, to close them.
    pub fn take_endpoints(&self) -> Option<Arc<Endpoints>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Runs a task where packets are handled, until it is done or the overlay is closed.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(self.until_closed(task), &self.home);
    }

    /// The same for a handler or a writer, which is given time to finish.
    pub fn spawn_work(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.work.spawn_on(self.until_closed(task), &self.home);
    }

    fn until_closed(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let closed = self.closed.clone();
        async move {
            closed.run_until_cancelled(task).await;
        }
    }

    /// Whether `peer` is a stranger: somebody who may use some protocol, but isn't a member.
    pub fn is_stranger(&self, peer: &PublicKey) -> bool {
        self.gate.admits(peer, crate::PING).is_err()
    }

    /// What is served under a name.
    pub fn kind(&self, protocol: &str) -> Option<&Kind> {
        self.protocols.get(protocol).map(|protocol| &protocol.0)
    }

    /// What takes datagrams.
    pub fn datagrams(&self) -> Option<&Kind> {
        self.kind(DATAGRAM)
    }
}
