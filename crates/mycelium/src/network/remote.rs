//! The local API over the overlay, for operators elsewhere.

use std::sync::{Arc, OnceLock};

use axum::Router;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use hyphae::Protocol;

/// The API as peers see it; nothing until the mesh serves.
#[derive(Clone, Default)]
pub(crate) struct RemoteApi(Arc<OnceLock<Router>>);

impl RemoteApi {
    /// From now on this is served.
    pub(crate) fn serve(&self, router: Router) {
        let _ = self.0.set(router);
    }

    /// A request a stream, or several, one after the other.
    pub(crate) fn protocol(&self) -> Protocol {
        let api = self.clone();
        Protocol::streams(move |_, stream| {
            let router = api.0.get().cloned();
            async move {
                let Some(router) = router else { return };
                let service = TowerToHyperService::new(router);
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // Whoever broke off needs no answer.
                let _ = connection.await;
            }
        })
    }
}
