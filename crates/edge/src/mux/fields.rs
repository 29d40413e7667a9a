//! Header fields of messages that come or go over HTTP/2: which stay on this hop, and what the edge adds.

use http::header::{CONNECTION, COOKIE, EXPECT, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};
use telemetry::Context;
use telemetry::context::State;

use crate::http1::request::is_sane_id;
use crate::table::Protocol;
use crate::trace::Place;

pub(super) const EDGE: HeaderName = HeaderName::from_static("x-mycelium-edge");
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields of one hop.
const ONE_HOP: [&str; 7] = [
    "connection",
    "keep-alive",
    "proxy",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
];

/// The client's request id if it is harmless.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(REQUEST_ID).map(HeaderValue::as_bytes).filter(|id| is_sane_id(id))
}

/// Where in a trace the client says it stands. A state without that, or one that isn't well-formed, is removed.
pub(super) fn context(headers: &mut HeaderMap) -> Option<Context> {
    let mut parents = headers.get_all(TRACE_PARENT).iter();
    let context = match (parents.next(), parents.next()) {
        (Some(one), None) => Context::parse(one.as_bytes()),
        _ => None,
    };
    if headers.contains_key(TRACE_STATE) {
        let mut state = State::default();
        headers.get_all(TRACE_STATE).iter().for_each(|value| state.see(value.as_bytes()));
        if context.is_none() || !state.is_good() {
            headers.remove(TRACE_STATE);
        }
    }
    context
}

/// Tells a workload its place in the trace.
pub(super) fn place(headers: &mut HeaderMap, place: &Place) {
    match place.text() {
        Some(text) => put(headers, TRACE_PARENT, &text),
        None => drop(headers.remove(TRACE_PARENT)),
    }
}

/// What the edge adds to a request.
pub(super) struct Added<'a> {
    pub id: &'a [u8],
    pub stamp: &'a [u8],
    pub peer: &'a str,
    pub scheme: &'static str,
    pub authority: &'a str,
}

/// Makes a client's fields those that a workload of `protocol` gets.
pub(super) fn for_workload(headers: &mut HeaderMap, protocol: Protocol, added: &Added) {
    let trailers = headers.get(TE).is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip(headers);
    headers.remove(EXPECT);
    headers.remove(UPGRADE);
    if protocol == Protocol::H2c {
        headers.remove(HOST);
        if trailers {
            headers.insert(TE, HeaderValue::from_static("trailers"));
        }
    } else {
        join_cookies(headers);
        put(headers, HOST, added.authority.as_bytes());
    }
    put(headers, REQUEST_ID, added.id);
    put(headers, EDGE, added.stamp);
    put(headers, FORWARDED_PROTO, added.scheme.as_bytes());
    put(headers, FORWARDED_HOST, added.authority.as_bytes());
    let mut forwarded = Vec::new();
    for before in headers.get_all(FORWARDED_FOR) {
        forwarded.extend_from_slice(before.as_bytes());
        forwarded.extend_from_slice(b", ");
    }
    forwarded.extend_from_slice(added.peer.as_bytes());
    put(headers, FORWARDED_FOR, &forwarded);
}

/// Makes a workload's fields those that a client gets.
pub(super) fn for_client(headers: &mut HeaderMap, id: &[u8], stamp: &[u8]) {
    strip(headers);
    headers.remove(UPGRADE);
    put(headers, REQUEST_ID, id);
    put(headers, EDGE, stamp);
}

fn strip(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in listed {
        headers.remove(name);
    }
    for name in ONE_HOP {
        headers.remove(name);
    }
    headers.remove(TRANSFER_ENCODING);
}

/// HTTP/2 may split a cookie line, HTTP/1 may not (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let all: Vec<_> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = all.join(&b"; "[..]);
    put(headers, COOKIE, &joined);
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    // Values come from fields that were valid, or from the edge itself.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
