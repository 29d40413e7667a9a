//! What replicas use.

use axum::Json;
use axum::extract::{Query, State};

use super::error::ApiError;
use super::state::ApiState;
use crate::api::{NodeUsage, UsageQuery};
use crate::usage;

/// `GET /v1/usage`
pub(super) async fn usage(
    State(state): State<ApiState>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<Vec<NodeUsage>>, ApiError> {
    if let Some(app) = query.app.as_ref().filter(|app| !state.knows(app)) {
        return Err(state.no_such_app(app));
    }
    Ok(Json(usage::all(&state, &query).await))
}

/// `GET /v1/usage` of another node: what runs on this one.
pub(super) async fn usage_here(
    State(state): State<ApiState>,
    Query(query): Query<UsageQuery>,
) -> Json<Vec<NodeUsage>> {
    Json(state.readings.shown(&state.fabric.view(), query.app.as_ref()))
}
