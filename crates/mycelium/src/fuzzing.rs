//! The local API over an empty mesh, fed with a connection's raw bytes: for fuzzing and its replays only.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::Planner;
use axum::Router;
use edge::Edge;
use fabric::{Authority, Fabric, MeshId};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use repo::Repo;
use soul::TrustStore;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use types::{PublicKey, Timestamp};

use crate::Paths;
use crate::api::EdgeStatus;
use crate::clock::SystemClock;
use crate::demand::Seen;
use crate::events::EventLog;
use crate::presence::Presence;
use crate::quarantine::Quarantine;
use crate::routes::Routing;
use crate::server::{self, ApiState, Ending, Shared};
use crate::tunnel::Ways;
use crate::usage::Readings;

/// How much of an answer is kept.
const ANSWER: u64 = 1 << 20;

/// An API that nothing stands behind: no replica, no plan, no listening socket.
pub struct Api {
    router: Router,
    fabric: Fabric,
    edge: Edge,
    /// Requests to end are taken and not followed.
    _endings: tokio::sync::mpsc::Receiver<Ending>,
}

impl Api {
    /// One whose files lie in `dir`, and whose records `operator` may write.
    ///
    /// # Panics
    /// When `dir` can't be used.
    #[must_use]
    pub fn new(dir: &Path, operator: PublicKey) -> Self {
        let paths = Paths { state: dir.to_owned(), config: dir.to_owned() };
        let authority = Authority { operators: [operator].into(), ..Authority::default() };
        let set_up = fabric::Config { mesh: MeshId::from_bytes([5; 32]), authority, journal: None };
        let (fabric, _) = Fabric::new(set_up, [], Timestamp::from_secs(0)).expect("an empty store");
        let (ending, endings) = tokio::sync::mpsc::channel(1);
        let edge = Edge::new(edge::Config::default());
        let (quarantine, _) =
            Quarantine::open(&paths.quarantine(), Timestamp::from_secs(0)).expect("a usable folder");
        let shared = Shared {
            version: "v0.0.0-0000000".into(),
            warmup_ms: 0,
            started_at: Timestamp::from_secs(0),
            edge_status: EdgeStatus { url: "http://127.0.0.1:1".into(), addresses: Vec::new() },
            admin: None,
            keeper_pid: None,
            planner: Arc::new(Planner::new(fabric.clone(), |_| true)),
            edge: edge.clone(),
            routing: Arc::new(Routing::new(fabric.clone(), edge.clone(), Ways::alone())),
            events: EventLog::open(&paths.events()).expect("a usable folder"),
            repo: Repo::open(paths.repo()).expect("a usable folder"),
            arrivals: Vec::new(),
            trust: Arc::new(TrustStore::open(&paths.trust()).expect("a usable folder")),
            clock: SystemClock,
            paths,
            fabric: fabric.clone(),
            ending,
            presence: Presence::new(BTreeSet::new(), true),
            quarantine,
            sight: crate::sight::Sight::blind("this is a rehearsal"),
            seen: Seen::default(),
            readings: Readings::default(),
            scent: None,
            network: None,
        };
        let router = server::router(ApiState { shared: Arc::new(shared) });
        Self { router, fabric, edge, _endings: endings }
    }

    /// The store behind it.
    #[must_use]
    pub const fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// The edge that it tells of.
    #[must_use]
    pub const fn edge(&self) -> &Edge {
        &self.edge
    }

    /// Serves one connection whose client sends `bytes` and then no more; returns what it was sent.
    pub async fn connection(&self, bytes: &[u8]) -> Vec<u8> {
        let (client, server) = tokio::io::duplex(64 << 10);
        let service = TowerToHyperService::new(self.router.clone());
        let mut protocol = hyper::server::conn::http1::Builder::new();
        let serving = protocol.half_close(true).serve_connection(TokioIo::new(server), service);
        let talking = async move {
            let (reader, mut writer) = tokio::io::split(client);
            let mut answer = Vec::new();
            let sending = async {
                let _ = writer.write_all(bytes).await;
                let _ = writer.shutdown().await;
            };
            let mut reader = reader.take(ANSWER);
            let reading = async { drop(reader.read_to_end(&mut answer).await) };
            tokio::join!(sending, reading);
            answer
        };
        // An answer that is meant to go on ends with its client; nobody waits for it here.
        let both = async { tokio::join!(serving, talking).1 };
        tokio::time::timeout(Duration::from_secs(5), both).await.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
