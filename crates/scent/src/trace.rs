//! Requests as spans, in the semantic conventions for HTTP servers.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use telemetry::Retry;

use crate::resource::{Attributes, pair, resource, scope, text};

/// Methods that may be part of a span's name and value; others are as many as clients like.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

pub(crate) fn request(attributes: &Attributes, spans: &[telemetry::Span]) -> Vec<u8> {
    let spans = spans.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let of_us =
        ResourceSpans { resource: Some(resource(attributes)), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_us] }.encode_to_vec()
}

/// How many of a request the collector didn't take.
pub(crate) fn rejected(answer: &[u8]) -> u64 {
    let partial = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

pub(crate) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn span(span: &telemetry::Span) -> Span {
    let known = METHODS.contains(&span.method.as_str());
    let method = if known { span.method.as_str() } else { "HTTP" };
    let failed = span.status >= 500;
    let message = String::new();
    let code = if failed { StatusCode::Error } else { StatusCode::Unset };
    Span {
        trace_id: span.context.trace.to_vec(),
        span_id: span.context.span.to_vec(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        flags: u32::from(span.context.is_sampled()),
        name: format!("{method} {}", span.app),
        kind: SpanKind::Server as i32,
        start_time_unix_nano: nanos(span.started),
        end_time_unix_nano: nanos(span.ended),
        attributes: attributes(span, known, failed),
        events: span.retries.iter().map(event).collect(),
        status: Some(Status { message, code: code as i32 }),
        ..Span::default()
    }
}

fn attributes(span: &telemetry::Span, known: bool, failed: bool) -> Vec<KeyValue> {
    let mut all = vec![
        text("http.request.method", if known { span.method.as_str() } else { "_OTHER" }),
        pair("http.response.status_code", Value::IntValue(span.status.into())),
        text("url.path", span.path.as_str()),
        text("url.scheme", span.scheme),
        text("network.protocol.version", span.version),
        text("mesh.app", span.app.as_str()),
    ];
    if !known {
        all.push(text("http.request.method_original", span.method.as_str()));
    }
    let (name, port) = match span.host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port.parse::<u16>().ok()),
        _ => (span.host.as_str(), None),
    };
    all.push(text("server.address", name));
    all.extend(port.map(|port| pair("server.port", Value::IntValue(port.into()))));
    if let Some((node, replica)) = span.endpoint.as_deref().and_then(parts) {
        all.extend([text("mesh.node", node), text("mesh.replica", replica)]);
    }
    if failed {
        all.push(text("error.type", span.status.to_string()));
    }
    all
}

fn event(retry: &Retry) -> Event {
    let mut attributes = vec![text("mesh.reason", retry.reason.as_str())];
    if let Some((node, replica)) = parts(&retry.endpoint) {
        attributes.extend([text("mesh.node", node), text("mesh.replica", replica)]);
    }
    let time_unix_nano = nanos(retry.at);
    Event { time_unix_nano, name: "retry".to_owned(), attributes, ..Event::default() }
}

/// The node and the replica in `app/node/replica`.
fn parts(endpoint: &str) -> Option<(&str, &str)> {
    endpoint.split_once('/')?.1.split_once('/')
}
