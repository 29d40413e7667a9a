//! Answers that may go on: events and log lines, one JSON value a line.

use std::io;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;
use types::AppName;

use super::error::ApiError;
use super::state::ApiState;
use crate::api::{EventQuery, LogQuery, TraceQuery};
use crate::body::Chunks;
use crate::{logs, trace};

/// How many lines may wait for a slow reader before the source waits as well.
const WAITING: usize = 64;

/// Where lines are sent; an error means that the reader is gone.
#[derive(Clone)]
pub(crate) struct LineSender(mpsc::Sender<io::Result<Bytes>>);

impl LineSender {
    /// A response whose body is what is sent here.
    pub(crate) fn body() -> (Self, Response) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let body = Body::new(Chunks::new(receiver));
        (Self(sender), ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
    }

    /// Sends `values`, a line each, as one piece.
    pub(crate) async fn send<T: Serialize>(&self, values: &[T]) -> Result<(), ()> {
        let mut bytes = Vec::new();
        for value in values {
            serde_json::to_writer(&mut bytes, value).map_err(drop)?;
            bytes.push(b'\n');
        }
        if bytes.is_empty() {
            return Ok(());
        }
        self.0.send(Ok(bytes.into())).await.map_err(drop)
    }

    /// Resolves when nobody reads any more.
    pub(crate) async fn closed(&self) {
        self.0.closed().await;
    }
}

/// `GET /v1/events`
pub(super) async fn events(State(state): State<ApiState>, Query(query): Query<EventQuery>) -> Response {
    stream(move |to| async move { follow_events(&state, &query, &to).await })
}

/// `GET /v1/logs/{app}`
pub(super) async fn logs(
    State(state): State<ApiState>,
    Path(app): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, ApiError> {
    let app = AppName::new(&app).map_err(|e| ApiError::bad_request(e.to_string()))?;
    let replicas = logs::replicas(&state.paths.logs(), &app, query.replica.as_ref());
    if replicas.is_empty() && !state.knows(&app) {
        return Err(state.no_such_app(&app));
    }
    Ok(stream(move |to| async move { logs::send_all(&state, &app, &query, &to).await }))
}

/// `GET /v1/logs/{app}` of another node: what lies on this one.
pub(super) async fn logs_here(
    State(state): State<ApiState>,
    Path(app): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, ApiError> {
    let app = AppName::new(&app).map_err(|e| ApiError::bad_request(e.to_string()))?;
    Ok(stream(move |to| async move { logs::send(&state, &app, &query, &to).await }))
}

/// `GET /v1/trace/{app}`
pub(super) async fn trace(
    State(state): State<ApiState>,
    Path(app): Path<String>,
    Query(query): Query<TraceQuery>,
) -> Result<Response, ApiError> {
    let app = AppName::new(&app).map_err(|e| ApiError::bad_request(e.to_string()))?;
    if !state.knows(&app) {
        return Err(state.no_such_app(&app));
    }
    Ok(stream(move |to| async move { trace::send_all(&state, &app, &query, &to).await }))
}

/// `GET /v1/trace/{app}` of another node: what happens on this one.
pub(super) async fn trace_here(
    State(state): State<ApiState>,
    Path(app): Path<String>,
    Query(query): Query<TraceQuery>,
) -> Result<Response, ApiError> {
    let app = AppName::new(&app).map_err(|e| ApiError::bad_request(e.to_string()))?;
    Ok(stream(move |to| async move { trace::send(&state, &app, &query, &to).await }))
}

async fn follow_events(state: &ApiState, query: &EventQuery, to: &LineSender) -> Result<(), ()> {
    let log = &state.events;
    let mut latest = log.latest();
    let mut since = query.since;
    let mut tail = query.tail;
    loop {
        latest.borrow_and_update();
        let source = log.clone();
        let newer = tokio::task::spawn_blocking(move || source.after(since)).await.map_err(drop)?;
        let mut events = newer.map_err(drop)?;
        since = events.last().map_or(since, |event| event.seq);
        if let Some(app) = &query.app {
            events.retain(|event| event.app.as_ref() == Some(app));
        }
        if let Some(count) = tail.take() {
            events.drain(..events.len().saturating_sub(count));
        }
        // Whoever hears of a replica that takes requests may ask it at once.
        state.routing.catch_up();
        to.send(&events).await?;
        if !query.follow {
            return Ok(());
        }
        tokio::select! {
            changed = latest.changed() => changed.map_err(drop)?,
            () = to.closed() => return Err(()),
        }
    }
}

fn stream<F>(feed: impl FnOnce(LineSender) -> F) -> Response
where
    F: Future<Output = Result<(), ()>> + Send + 'static,
{
    let (sender, response) = LineSender::body();
    // Ends with its reader.
    tokio::spawn(feed(sender));
    response
}
