//! The admin address: metrics and liveness for whoever scrapes. Reads only.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use edge::Edge;
use fabric::Fabric;

use crate::metrics;

/// `GET /metrics` and `GET /health`.
pub(crate) fn router(edge: Edge, fabric: Fabric) -> Router {
    let parts = Arc::new((edge, fabric));
    let text = move || {
        let parts = Arc::clone(&parts);
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], metrics::text(&parts.0, &parts.1.view())) }
    };
    Router::new().route("/metrics", get(text)).route("/health", get(|| async { "ok\n" }))
}
