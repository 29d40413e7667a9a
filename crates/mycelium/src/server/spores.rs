//! `/v1/spores`: what the repo holds.

use std::io::{self, Read};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use bytes::{Buf as _, Bytes};
use http_body_util::BodyExt as _;
use tokio::sync::mpsc;
use types::Digest;

use super::error::ApiError;
use super::state::ApiState;
use crate::api::{Collected, SporeInfo, Stored};

/// The most bytes a spore may have; the format's own bound is below it.
const MAX_SPORE: usize = 4 << 30;
/// A spore that was stored so recently stays: the plan that names it may be on its way.
const FRESH: Duration = Duration::from_secs(60);

type Answer<T> = Result<Json<T>, ApiError>;

/// `GET /v1/spores`
pub(super) async fn list(State(state): State<ApiState>) -> Answer<Vec<SporeInfo>> {
    blocking(move || {
        let stored = state.repo.list().map_err(failed)?;
        Ok(stored.into_iter().map(|one| state.describe(&one)).collect())
    })
    .await
}

/// `GET /v1/spores/{digest}`
pub(super) async fn one(State(state): State<ApiState>, Path(digest): Path<String>) -> Answer<SporeInfo> {
    let digest: Digest =
        digest.parse().map_err(|e: types::DigestError| ApiError::bad_request(e.to_string()))?;
    blocking(move || {
        let stored = state.repo.list().map_err(failed)?;
        let found = stored.into_iter().find(|one| one.digest == digest);
        let missing = || ApiError::not_found(format!("the repo holds no spore {digest}"));
        Ok(state.describe(&found.ok_or_else(missing)?))
    })
    .await
}

/// `POST /v1/spores`: stores the body as it streams in.
pub(super) async fn put(State(state): State<ApiState>, body: Body) -> Answer<Stored> {
    let (sender, receiver) = mpsc::channel(4);
    let writing = tokio::task::spawn_blocking(move || {
        let (digest, path) = state.repo.put(Incoming { receiver, rest: Bytes::new() })?;
        state.arrivals.iter().for_each(|agent| agent.arrived(digest));
        Ok::<_, repo::Error>(Stored { digest, path })
    });
    let mut body = http_body_util::Limited::new(body, MAX_SPORE);
    while let Some(frame) = body.frame().await {
        let piece =
            frame.map_err(|e| io::Error::other(e.to_string())).map(|f| f.into_data().unwrap_or_default());
        if piece.as_ref().is_ok_and(Bytes::is_empty) {
            continue;
        }
        let broken = piece.is_err();
        // Once storing has failed nobody takes it, but who is still sending would not hear why.
        let _ = sender.send(piece).await;
        if broken {
            break;
        }
    }
    // Nobody takes it any more when storing has failed; then that is the answer.
    let _ = sender.send(Ok(Bytes::new())).await;
    let stored = writing.await.map_err(ApiError::internal)?;
    stored.map(Json).map_err(|e| ApiError::new(StatusCode::INSUFFICIENT_STORAGE, format!("failed to {e}")))
}

/// `POST /v1/spores/gc`
pub(super) async fn collect(State(state): State<ApiState>) -> Answer<Collected> {
    blocking(move || {
        let kept = state.digests_in_use();
        let gone = state.repo.gc(&|digest| kept.contains(digest), FRESH);
        let gone = gone.map_err(failed)?;
        let bytes = gone.iter().map(|s| s.bytes).sum();
        Ok(Collected { removed: gone.into_iter().map(|s| s.digest).collect(), bytes })
    })
    .await
}

fn failed(error: repo::Error) -> ApiError {
    ApiError::internal(format_args!("failed to {error}"))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Answer<T> {
    tokio::task::spawn_blocking(work).await.map_err(ApiError::internal)?.map(Json)
}

/// The body as a blocking reader. An empty piece is its end: without one, the client left in the middle.
struct Incoming {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                None => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the upload broke off")),
                Some(piece) => self.rest = piece?,
            }
            if self.rest.is_empty() {
                return Ok(0);
            }
        }
        let count = self.rest.len().min(into.len());
        self.rest.copy_to_slice(&mut into[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_whose_client_left_is_not_stored() {
        let dir = tempfile::tempdir().unwrap();
        let repo = repo::Repo::open(dir.path()).unwrap();
        let upload = |pieces: &[&'static str]| {
            let (sender, receiver) = mpsc::channel(4);
            pieces
                .iter()
                .for_each(|piece| sender.try_send(Ok(Bytes::from_static(piece.as_bytes()))).unwrap());
            drop(sender);
            repo.put(Incoming { receiver, rest: Bytes::new() })
        };
        let error = upload(&["half of ", "it"]).unwrap_err();
        assert!(error.to_string().contains("broke off"), "{error}");
        assert!(repo.list().unwrap().is_empty());
        assert_eq!(upload(&["all of ", "it", ""]).unwrap().0, Digest::of(b"all of it"));
    }
}
