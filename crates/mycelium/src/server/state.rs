//! What the handlers see of the mesh, and the answers that are about the whole of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent::{Arrivals, Decided, Planner};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use edge::Edge;
use fabric::Fabric;
use repo::Repo;
use scent::Scent;
use soul::TrustStore;
use tokio::sync::mpsc;
use types::{AppName, Digest, Timestamp};

use super::error::ApiError;
use super::records::name;
use super::streams::LineSender;
use crate::Paths;
use crate::advise::advise;
use crate::api::{Advice, AppStatus, EdgeStatus, MeshStatus, Shutdown, SporeInfo, Traffic, VersionInfo, Why};
use crate::clock::SystemClock;
use crate::demand::Seen;
use crate::events::EventLog;
use crate::network::Network;
use crate::presence::Presence;
use crate::quarantine::Quarantine;
use crate::routes::Routing;
use crate::sight::{self, Sight};
use crate::usage::{self, Readings};
use crate::{metrics, status};

/// How many of an app's last events `why` shows.
const WHY_EVENTS: usize = 12;

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct ApiState {
    pub(crate) shared: Arc<Shared>,
}

/// See [`ApiState`].
pub(crate) struct Shared {
    pub(crate) paths: Paths,
    pub(crate) version: String,
    pub(crate) warmup_ms: u64,
    pub(crate) started_at: Timestamp,
    pub(crate) edge_status: EdgeStatus,
    pub(crate) admin: Option<String>,
    pub(crate) keeper_pid: Option<u32>,
    pub(crate) fabric: Fabric,
    pub(crate) planner: Arc<Planner>,
    pub(crate) repo: Repo,
    /// Who is told of spores.
    pub(crate) arrivals: Vec<Arrivals>,
    pub(crate) trust: Arc<TrustStore>,
    pub(crate) edge: Edge,
    pub(crate) routing: Arc<Routing>,
    pub(crate) events: EventLog,
    pub(crate) clock: SystemClock,
    pub(crate) ending: mpsc::Sender<Ending>,
    pub(crate) presence: Presence,
    pub(crate) quarantine: Quarantine,
    pub(crate) sight: Sight,
    pub(crate) seen: Seen,
    /// What replicas here use.
    pub(crate) readings: Readings,
    /// Who tells a collector of it all, if anybody does.
    pub(crate) scent: Option<Scent>,
    /// Absent in a mesh on one machine.
    pub(crate) network: Option<Network>,
}

/// A request to end, and where to say that what was asked for has happened.
pub(crate) struct Ending {
    pub(crate) how: Shutdown,
    pub(crate) asker: LineSender,
}

impl std::ops::Deref for ApiState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}

impl Shared {
    /// All counters in the Prometheus text format.
    pub(crate) async fn exposed(&self) -> String {
        let counted = self.sight.counted().await;
        metrics::text(&self.edge, &self.fabric.view(), &self.seen.burns)
            + &sight::text(&counted)
            + &usage::text(&self.readings)
            + &metrics::told(self.scent.as_ref())
    }

    pub(crate) fn knows(&self, app: &AppName) -> bool {
        self.fabric.view().plans.contains_key(app)
    }

    pub(crate) fn no_such_app(&self, app: &AppName) -> ApiError {
        let view = self.fabric.view();
        let known: Vec<&str> = view.plans.keys().map(AppName::as_str).collect();
        let error = ApiError::not_found(format!("no app is called {app}"));
        if known.is_empty() {
            error.hint("nothing is deployed yet: `mesh deploy` does it")
        } else {
            error.hint(format!("deployed are: {}", known.join(", ")))
        }
    }

    /// Every digest that a plan, its predecessor or a replica names.
    pub(crate) fn digests_in_use(&self) -> BTreeSet<Digest> {
        let view = self.fabric.view();
        let mut digests: BTreeSet<Digest> = view.endpoints().map(|endpoint| endpoint.digest).collect();
        for entry in view.plans.values() {
            digests.insert(entry.value.release.digest);
            digests.extend(entry.value.previous.as_ref().map(|p| p.release.digest));
        }
        digests
    }

    /// What a stored spore says of itself.
    pub(crate) fn describe(&self, stored: &repo::Stored) -> SporeInfo {
        let opened = self.repo.get(&stored.digest).map_err(|e| e.to_string());
        let opened = opened.and_then(|file| spore::open(file).map_err(|e| e.to_string()));
        let mut info = SporeInfo {
            digest: stored.digest,
            bytes: stored.bytes,
            stored_at: stored.modified.into(),
            manifest: None,
            public_key: None,
            fingerprint: None,
            trusted: false,
            error: None,
        };
        match opened {
            Ok(spore) => {
                let manifest = spore.manifest();
                let key = manifest.public_key;
                info.trusted = self.fabric.view().trusts(&key) || self.trust.trusts(&key).unwrap_or(false);
                info.fingerprint = Some(key.fingerprint().to_string());
                info.public_key = Some(key);
                info.manifest = serde_json::to_value(manifest).ok();
            }
            Err(error) => info.error = Some(error),
        }
        info
    }

    fn traffic(&self) -> BTreeMap<AppName, Traffic> {
        metrics::traffic(&self.edge)
    }

    /// What is decided now, once requests go where it says.
    fn routed(&self) -> Decided {
        let decided = self.planner.decided();
        self.routing.catch_up();
        decided
    }

    fn app_status(&self, app: &AppName) -> Result<AppStatus, ApiError> {
        let Decided { view, decision } = self.routed();
        let traffic = self.traffic().remove(app);
        let found = status::app(&view, &decision, app, &self.edge_status.url, traffic, &self.presence);
        found.ok_or_else(|| self.no_such_app(app))
    }

    pub(crate) fn version_info(&self) -> VersionInfo {
        VersionInfo { version: self.version.clone(), api: crate::api::API_VERSION, pid: std::process::id() }
    }
}

/// `GET /v1/version`
pub(super) async fn version(State(state): State<ApiState>) -> Json<VersionInfo> {
    Json(state.version_info())
}

/// `GET /v1/status`
pub(super) async fn status(State(state): State<ApiState>) -> Json<MeshStatus> {
    let Decided { view, decision } = state.routed();
    let conflicts = state.fabric.conflicts().into_iter().map(|(lost, won)| {
        format!(
            "{} generation {}: {} lost against {}",
            lost.key(),
            lost.order().major,
            lost.id().short(),
            won.id().short()
        )
    });
    Json(MeshStatus {
        mesh: state.fabric.mesh().to_string(),
        version: state.version.clone(),
        pid: std::process::id(),
        keeper_pid: state.keeper_pid,
        state: state.paths.state.clone(),
        repo: state.repo.dir().to_owned(),
        started_at: state.started_at,
        edge: state.edge_status.clone(),
        admin: state.admin.clone(),
        warmup_ms: state.warmup_ms,
        nodes: status::nodes(&view, &decision, &state.presence),
        apps: status::apps(&view, &decision, &state.edge_status.url, &state.traffic(), &state.presence),
        conflicts: conflicts.collect(),
        quarantined: state.quarantine.list().len(),
    })
}

/// `GET /v1/apps/{app}`
pub(super) async fn app(
    State(state): State<ApiState>,
    Path(app): Path<String>,
) -> Result<Json<AppStatus>, ApiError> {
    Ok(Json(state.app_status(&name(&app)?)?))
}

/// `GET /v1/apps/{app}/why`
pub(super) async fn why(
    State(state): State<ApiState>,
    Path(app): Path<String>,
) -> Result<Json<Why>, ApiError> {
    let app = name(&app)?;
    let status = state.app_status(&app)?;
    let log = state.events.clone();
    let all = tokio::task::spawn_blocking(move || log.after(0)).await.map_err(ApiError::internal)?;
    let mut events = all.map_err(|e| ApiError::internal(format_args!("failed to read the events: {e}")))?;
    events.retain(|event| event.app.as_ref() == Some(&app));
    events.drain(..events.len().saturating_sub(WHY_EVENTS));
    let said = status.replicas.iter().filter(|r| !r.message.is_empty());
    let why = status::why(&state.planner.decided(), &app, &state.seen);
    Ok(Json(Why {
        scale: why,
        summary: status::summary(&status),
        state: status.state,
        nodes: state.planner.verdicts(&app),
        replicas: said
            .map(|r| format!("{} on {} is {}: {}", r.replica, r.node_id, r.state, r.message))
            .collect(),
        events,
        app_name: app,
    }))
}

/// `GET /v1/apps/{app}/advice`
pub(super) async fn advice(
    State(state): State<ApiState>,
    Path(app): Path<String>,
) -> Result<Json<Advice>, ApiError> {
    let app = name(&app)?;
    advise(&state.planner.decided(), &app).map(Json).ok_or_else(|| state.no_such_app(&app))
}

/// `GET /v1/metrics`
pub(super) async fn metrics(State(state): State<ApiState>) -> String {
    state.exposed().await
}

/// `POST /v1/shutdown`: answered once it is so. A hand-over's answer stays open until either side has enough.
pub(super) async fn shutdown(
    State(state): State<ApiState>,
    Json(how): Json<Shutdown>,
) -> Result<Response, ApiError> {
    let (asker, answer) = LineSender::body();
    state.ending.try_send(Ending { how, asker }).map_err(|_| {
        ApiError::new(StatusCode::CONFLICT, "the mesh is already ending").hint("wait for it to end")
    })?;
    Ok(answer)
}
