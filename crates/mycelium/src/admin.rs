//! The admin address: metrics and liveness for whoever scrapes. Reads only.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use edge::Edge;
use fabric::Fabric;

use crate::demand::Burns;
use crate::metrics;
use crate::sight::{self, Sight};
use crate::usage::{self, Readings};

/// `GET /metrics` and `GET /health`.
pub(crate) fn router(edge: Edge, fabric: Fabric, sight: Sight, burns: Burns, readings: Readings) -> Router {
    let parts = Arc::new((edge, fabric, sight, burns, readings));
    let text = move || {
        let parts = Arc::clone(&parts);
        async move {
            let counted = parts.2.counted().await;
            let text = metrics::text(&parts.0, &parts.1.view(), &parts.3)
                + &sight::text(&counted)
                + &usage::text(&parts.4);
            ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text)
        }
    };
    Router::new().route("/metrics", get(text)).route("/health", get(|| async { "ok\n" }))
}
