//! The local API's server: HTTP/1.1 on a Unix socket that only its owner may open.
//!
//! It reads state and takes signed records; it never signs, and it decides nothing.

mod error;
mod mesh;
mod quarantine;
mod records;
mod settings;
mod socket;
mod spores;
mod state;
mod streams;
mod usage;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

pub(crate) use socket::ApiSocket;
pub(crate) use state::{ApiState, Ending, Shared};
pub(crate) use streams::LineSender;

/// The most bytes of a request that isn't a spore.
const MAX_REQUEST: usize = 128 << 10;

/// All routes of version 1, as `api::openapi()` describes them.
pub(crate) fn router(state: ApiState) -> Router {
    let ending = Router::new().route("/v1/shutdown", post(state::shutdown)).with_state(state.clone());
    remote_router(state).merge(ending)
}

/// What other nodes may ask: what only this one has.
pub(crate) fn peer_router(state: ApiState) -> Router {
    Router::new()
        .route("/v1/logs/{app}", get(streams::logs_here))
        .route("/v1/trace/{app}", get(streams::trace_here))
        .route("/v1/usage", get(usage::usage_here))
        .fallback(error::unknown_path)
        .with_state(state)
}

/// What operators elsewhere may use: all but what ends this process.
pub(crate) fn remote_router(state: ApiState) -> Router {
    let spores = Router::new()
        .route("/v1/spores", get(spores::list).post(spores::put))
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/v1/version", get(state::version))
        .route("/v1/status", get(state::status))
        .route("/v1/apps/{app}", get(state::app))
        .route("/v1/apps/{app}/why", get(state::why))
        .route("/v1/apps/{app}/advice", get(state::advice))
        .route("/v1/apps/{app}/plan", get(records::plan))
        .route("/v1/apps/{app}/budget", get(records::budget))
        .route("/v1/records", get(mesh::held).post(records::submit))
        .route("/v1/spores/{digest}", get(spores::one))
        .route("/v1/spores/gc", post(spores::collect))
        .route("/v1/events", get(streams::events))
        .route("/v1/logs/{app}", get(streams::logs))
        .route("/v1/trace/{app}", get(streams::trace))
        .route("/v1/usage", get(usage::usage))
        .route("/v1/metrics", get(state::metrics))
        .route("/v1/nodes", get(mesh::nodes))
        .route("/v1/settings", get(settings::settings))
        .route("/v1/network", get(mesh::network))
        .route("/v1/network/ping/{node}", post(mesh::ping))
        .route("/v1/tickets", get(mesh::tickets).post(mesh::new_ticket))
        .route("/v1/tickets/remove", post(mesh::remove_ticket))
        .route("/v1/operators", get(mesh::operators))
        .route("/v1/identities", get(mesh::identities))
        .route("/v1/policies", get(mesh::policies))
        .route("/v1/records/{kind}/{name}", get(mesh::record))
        .route("/v1/roots", get(mesh::roots))
        .route("/v1/conflicts", get(mesh::conflicts))
        .route("/v1/written-by/{key}", get(mesh::written_by))
        .route("/v1/quarantine", get(quarantine::list))
        .route("/v1/quarantine/release", post(quarantine::release))
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
        .merge(spores)
        .fallback(error::unknown_path)
        .with_state(state)
}
