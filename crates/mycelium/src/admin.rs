//! The admin address: metrics and liveness for whoever scrapes. Reads only.

use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;

use crate::server::Shared;

/// `GET /metrics` and `GET /health`.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let text = move || {
        let shared = Arc::clone(&shared);
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared.exposed().await) }
    };
    Router::new().route("/metrics", get(text)).route("/health", get(|| async { "ok\n" }))
}
