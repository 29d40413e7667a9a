//! The records that this node keeps out, since it ended over them.

use axum::Json;
use axum::extract::State;
use types::Digest;

use super::error::ApiError;
use super::state::ApiState;
use crate::api::Quarantined;

/// `GET /v1/quarantine`
pub(super) async fn list(State(state): State<ApiState>) -> Json<Vec<Quarantined>> {
    Json(state.quarantine.list())
}

/// `POST /v1/quarantine/release`: answers whether it was there.
pub(super) async fn release(
    State(state): State<ApiState>,
    Json(id): Json<Digest>,
) -> Result<Json<bool>, ApiError> {
    let (quarantine, fabric, now) = (state.quarantine.clone(), state.fabric.clone(), state.clock.now());
    let released = tokio::task::spawn_blocking(move || quarantine.release(&id, &fabric, now)).await;
    let released = released.map_err(ApiError::internal)?.map_err(ApiError::internal)?;
    if released {
        let said = format!("record {} is released from quarantine", id.short());
        state.events.record(crate::events::of_mesh(said));
    }
    Ok(Json(released))
}
