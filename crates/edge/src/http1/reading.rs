//! One whole request read as the data path reads it, without a socket: for fuzzing and for comparing with other parsers.

use telemetry::Context;

use super::body::Body;
use super::head::{self, Head, Malformed};
use super::request;
use super::rewrite::{self, RequestParts};
use super::target;

/// Header lines a client may send, as the limits' default has it.
pub const CLIENT_LINES: usize = 100;
/// Header lines a workload gets at most: the client's, and six of the edge's own.
pub const WORKLOAD_LINES: usize = CLIENT_LINES + 6;

/// A request that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// How many bytes it takes, body included.
    pub len: usize,
    /// As it was sent.
    pub method: Vec<u8>,
    /// As it was sent.
    pub target: Vec<u8>,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// Names and values in the order they came.
    pub fields: Vec<(Vec<u8>, Vec<u8>)>,
    /// The content, without its framing.
    pub body: Vec<u8>,
    /// What a workload would get: the head as it is written anew, the body framed as it came.
    pub forwarded: Vec<u8>,
}

/// Reads the request at the start of `bytes`, of at most `lines` header lines; `None` when it isn't whole.
pub fn read_request(bytes: &[u8], lines: usize) -> Result<Option<Reading>, Malformed> {
    let mut head = Head::default();
    if !head::parse_request(bytes, lines, &mut head)? {
        return Ok(None);
    }
    let request = request::check(bytes, &mut head)?;
    let parsed = target::parse(head.line[1].of(bytes))?;
    let begun = Context::start([1; 16], [1; 8], false);
    let parts = RequestParts {
        path: parsed.path,
        host: b"app.mesh.internal",
        request_id: b"id",
        stamp: b"1970-01-01T00:00:00Z",
        peer: b"192.0.2.1",
        scheme: b"http",
        context: Some(request.context.unwrap_or(begun).text()),
    };
    let mut forwarded = Vec::new();
    rewrite::request(bytes, &head, &request, &parts, &mut forwarded);
    let mut content = Vec::new();
    let mut body = Body::new(request.framing);
    let rest = &bytes[head.len..];
    let taken = body.decode(rest, |piece| content.extend_from_slice(piece))?;
    if !body.is_done() {
        return Ok(None);
    }
    forwarded.extend_from_slice(&rest[..taken]);
    Ok(Some(Reading {
        len: head.len + taken,
        method: head.line[0].of(bytes).to_vec(),
        target: head.line[1].of(bytes).to_vec(),
        minor: request.minor,
        fields: head.fields.iter().map(|f| (f.name.of(bytes).to_vec(), f.value.of(bytes).to_vec())).collect(),
        body: content,
        forwarded,
    }))
}

#[cfg(test)]
mod tests;
