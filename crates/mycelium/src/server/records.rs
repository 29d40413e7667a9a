//! Plans and budgets as they stand, and the one way to change them: a signed record.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::Bytes;
use fabric::{Kind, Record, RecordName, Refused};
use types::AppName;

use super::error::ApiError;
use super::state::ApiState;
use crate::api::{BudgetAt, PlanAt, Receipt};
use crate::network;

/// `GET /v1/apps/{app}/plan`; an app without a plan is no error: its next generation may be asked for.
pub(super) async fn plan(
    State(state): State<ApiState>,
    Path(app): Path<String>,
) -> Result<Json<PlanAt>, ApiError> {
    let app = name(&app)?;
    let decided = state.planner.decided();
    let entry = decided.view.plans.get(&app);
    Ok(Json(PlanAt {
        next_generation: state.fabric.next_generation_of(Kind::Plan, RecordName::of_app(&app)),
        generation: entry.map_or(0, |e| e.generation),
        plan: entry.map(|e| (*e.value).clone()),
        rolled_back: decided.decision.apps.get(&app).is_some_and(|app| app.fallback.is_some()),
        unfinished: decided.decision.apps.get(&app).is_some_and(|app| app.rollout.is_some()),
    }))
}

/// `GET /v1/apps/{app}/budget`
pub(super) async fn budget(
    State(state): State<ApiState>,
    Path(app): Path<String>,
) -> Result<Json<BudgetAt>, ApiError> {
    let app = name(&app)?;
    Ok(Json(BudgetAt {
        next_generation: state.fabric.next_generation_of(Kind::Budget, RecordName::of_app(&app)),
        budget: state.fabric.get_budget(&app).map(|budget| (*budget).clone()),
    }))
}

/// `POST /v1/records`: answered once the record is synced to disk, here and on as many other nodes as answer in time.
pub(super) async fn submit(State(state): State<ApiState>, body: Bytes) -> Result<Json<Receipt>, ApiError> {
    let record = Record::decode(&body).map_err(|e| ApiError::bad_request(e.to_string()))?;
    if !record.is_operators() {
        return Err(ApiError::bad_request(format!(
            "only operators' records are submitted, not {}",
            record.key()
        )));
    }
    let fabric = state.fabric.clone();
    let now = state.clock.now();
    let pending = fabric.stage(record.clone(), now).map_err(refusal)?;
    let local = tokio::task::spawn_blocking(move || pending.durable());
    let elsewhere = async {
        match &state.network {
            Some(network) => {
                // What ends this node must not end those that were to keep it.
                state.quarantine.settled(&record.id()).await;
                network::replicate(&network.overlay, state.presence.here(), &record).await
            }
            None => 0,
        }
    };
    let (receipt, others) = tokio::join!(local, elsewhere);
    let receipt = receipt.map_err(ApiError::internal)?.map_err(refusal)?;
    let nodes = 1 + u32::try_from(others).unwrap_or(u32::MAX);
    let safe = if nodes == 1 { "on this node only".to_owned() } else { format!("on {nodes} nodes") };
    Ok(Json(Receipt { generation: receipt.order.major, nodes, safe }))
}

fn refusal(refused: Refused) -> ApiError {
    let status = match &refused {
        Refused::Stale { .. } | Refused::Quarantined { .. } => StatusCode::CONFLICT,
        Refused::Unauthorised { .. } | Refused::OtherMesh { .. } | Refused::Signature { .. } => {
            StatusCode::FORBIDDEN
        }
        Refused::NotDurable(_) => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let error = ApiError::new(status, refused.to_string());
    match refused {
        Refused::Stale { .. } => {
            error.hint("somebody else was faster: look at `mesh status`, then try again")
        }
        Refused::Unauthorised { .. } => {
            error.hint("sign with an operator's key: `mesh operator list` shows whose are obeyed")
        }
        Refused::Quarantined { .. } => {
            error.hint("`mesh quarantine` shows it; `mesh quarantine release` lets it in")
        }
        _ => error,
    }
}

pub(super) fn name(text: &str) -> Result<AppName, ApiError> {
    AppName::new(text).map_err(|e| ApiError::bad_request(e.to_string()))
}
