//! Heads as they go out: the kept lines in runs, as they came, then the edge's own.

use telemetry::context::LENGTH;

use super::body::Framing;
use super::head::Head;
use super::request::Request;
use super::response::Response;

/// What the edge adds to a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestParts<'a> {
    /// The target for the workload; a slash is put before it when it has none.
    pub path: &'a [u8],
    /// The `Host` of a request that came without (HTTP/1.0).
    pub host: &'a [u8],
    pub request_id: &'a [u8],
    /// `X-Mycelium-Edge`: RFC 3339.
    pub stamp: &'a [u8],
    /// The client's address.
    pub peer: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'a [u8],
    /// The `traceparent`.
    pub context: Option<[u8; LENGTH]>,
}

/// What the edge adds to a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseParts<'a> {
    pub request_id: &'a [u8],
    /// `X-Mycelium-Edge`: RFC 3339.
    pub stamp: &'a [u8],
    /// What is said about the connection's future.
    pub connection: Persistence,
}

/// What a response's `Connection` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// Nothing: HTTP/1.1 goes on by itself.
    Implied,
    /// `close`
    Close,
    /// `keep-alive`, for HTTP/1.0.
    KeepAlive,
    /// `upgrade`, with a 101.
    Upgrade,
}

/// Writes the request's head for the workload.
pub(crate) fn request(buf: &[u8], head: &Head, request: &Request, parts: &RequestParts, out: &mut Vec<u8>) {
    out.extend_from_slice(head.line[0].of(buf));
    out.push(b' ');
    if !parts.path.starts_with(b"/") && parts.path != b"*" {
        out.push(b'/');
    }
    out.extend_from_slice(parts.path);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match request.host {
        None => line(out, b"host: ", parts.host),
        Some(host) => line(out, b"x-forwarded-host: ", host.of(buf)),
    }
    kept(buf, head, out);
    line(out, b"x-request-id: ", parts.request_id);
    line(out, b"x-mycelium-edge: ", parts.stamp);
    out.extend_from_slice(b"x-forwarded-for: ");
    if let Some(before) = request.forwarded_for {
        out.extend_from_slice(before.of(buf));
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(parts.peer);
    line(out, b"\r\nx-forwarded-proto: ", parts.scheme);
    if let Some(context) = &parts.context {
        line(out, b"traceparent: ", context);
    }
    if let Some(upgrade) = request.upgrade {
        line(out, b"connection: upgrade\r\nupgrade: ", upgrade.of(buf));
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes the response's head for the client. `unframe` leaves `Transfer-Encoding` out: the body goes out decoded.
pub(crate) fn response(buf: &[u8], head: &Head, parts: &ResponseParts, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.line[1].of(buf));
    out.push(b' ');
    line(out, b"", head.line[2].of(buf));
    kept(buf, head, out);
    line(out, b"x-mycelium-edge: ", parts.stamp);
    line(out, b"x-request-id: ", parts.request_id);
    out.extend_from_slice(match parts.connection {
        Persistence::Implied => b"\r\n",
        Persistence::Close => b"connection: close\r\n\r\n",
        Persistence::KeepAlive => b"connection: keep-alive\r\n\r\n",
        Persistence::Upgrade => b"connection: upgrade\r\n\r\n",
    });
}

/// Writes an interim response (1xx) for the client: nothing is added to it.
pub(crate) fn interim(buf: &[u8], head: &Head, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.line[1].of(buf));
    out.push(b' ');
    line(out, b"", head.line[2].of(buf));
    kept(buf, head, out);
    out.extend_from_slice(b"\r\n");
}

/// Copies the lines that aren't dropped, neighbours at once.
fn kept(buf: &[u8], head: &Head, out: &mut Vec<u8>) {
    let mut run: Option<(usize, usize)> = None;
    for field in &head.fields {
        if field.dropped {
            if let Some((start, end)) = run.take() {
                out.extend_from_slice(&buf[start..end]);
            }
        } else {
            let start = run.map_or(field.name.start(), |(start, _)| start);
            run = Some((start, field.end as usize));
        }
    }
    if let Some((start, end)) = run {
        out.extend_from_slice(&buf[start..end]);
    }
}

fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Leaves `Transfer-Encoding` behind where the client can't read chunks; the body then ends with the connection.
pub(crate) fn unframe(head: &mut Head, response: &Response) {
    if response.framing == Framing::Chunked {
        for field in &mut head.fields {
            field.dropped |= field.known == super::field::Known::TransferEncoding;
        }
    }
}

#[cfg(test)]
mod tests;
