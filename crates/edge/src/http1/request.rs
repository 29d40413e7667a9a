//! What a request's head means: framing, persistence, host, and which fields stay on this hop.

use telemetry::Context;

use super::body::Framing;
use super::context::ContextFields;
use super::field::{Field, Known, known, members};
use super::head::{Head, Malformed, Span};
use super::target::is_host;

/// A request as the edge needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub framing: Framing,
    pub method: Method,
    /// The minor version: 0 or 1.
    pub minor: u8,
    /// Whether the client wants to go on using the connection.
    pub keep_alive: bool,
    /// The protocol the client wants to change to.
    pub upgrade: Option<Span>,
    /// Whether the client waits for `100 Continue`.
    pub expect: bool,
    pub host: Option<Span>,
    pub request_id: Option<Span>,
    pub forwarded_for: Option<Span>,
    /// Where in a trace the client says it stands.
    pub context: Option<Context>,
}

/// What the edge has to know about a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// May be repeated without doing more than once would (RFC 9110 §9.2.2).
    Idempotent,
    /// As the above; its response has no body.
    Head,
    /// May not be repeated once sent.
    Once,
    /// Not for an edge: `CONNECT` would make it an open relay, `TRACE` shows what proxies added.
    Refused,
}

impl Method {
    pub(crate) fn of(name: &[u8]) -> Self {
        match name {
            b"GET" | b"PUT" | b"DELETE" | b"OPTIONS" => Self::Idempotent,
            b"HEAD" => Self::Head,
            b"CONNECT" | b"TRACE" => Self::Refused,
            _ => Self::Once,
        }
    }

    pub(crate) const fn may_repeat(self) -> bool {
        matches!(self, Self::Idempotent | Self::Head)
    }
}

/// Checks a parsed head and marks the fields that stay behind.
pub(crate) fn check(buf: &[u8], head: &mut Head) -> Result<Request, Malformed> {
    let minor = u8::from(head.line[2].of(buf).ends_with(b"1"));
    let mut request = Request {
        framing: Framing::None,
        method: Method::of(head.line[0].of(buf)),
        minor,
        keep_alive: minor == 1,
        upgrade: None,
        expect: false,
        host: None,
        request_id: None,
        forwarded_for: None,
        context: None,
    };
    let mut framing = FramingFields::default();
    let mut options = Options::default();
    let mut upgrade = None;
    let mut context = ContextFields::default();
    for field in &mut head.fields {
        let value = field.value;
        match field.known {
            Known::Other => continue,
            Known::ContentLength | Known::TransferEncoding => framing.see(field, buf)?,
            Known::Host => {
                if request.host.replace(value).is_some() || !is_host(value.of(buf)) {
                    return Err(Malformed::Host);
                }
            }
            Known::Connection => options.see(value.of(buf)),
            Known::Upgrade => upgrade = Some(value),
            Known::Expect => {
                if !value.of(buf).eq_ignore_ascii_case(b"100-continue") {
                    return Err(Malformed::Expect);
                }
                request.expect = minor == 1;
            }
            Known::RequestId => request.request_id = Some(value),
            Known::ForwardedFor => request.forwarded_for = Some(value),
            Known::TraceParent => context.parent(value.of(buf)),
            Known::TraceState => context.state(value.of(buf)),
            Known::OneHop | Known::Ours => {}
        }
        field.dropped = match field.known {
            Known::Host | Known::ContentLength | Known::TransferEncoding | Known::TraceState => false,
            Known::Expect => !request.expect,
            _ => true,
        };
    }
    if minor == 1 && request.host.is_none() {
        return Err(Malformed::NoHost);
    }
    if options.others {
        drop_listed(buf, head)?;
    }
    request.context = context.end(head);
    request.framing = framing.of_request(minor)?;
    request.keep_alive = if minor == 1 { !options.close } else { options.keep_alive && !options.close };
    let may_upgrade = minor == 1 && options.upgrade && request.framing == Framing::None;
    request.upgrade = upgrade.filter(|u| may_upgrade && !is_http2(u.of(buf)));
    Ok(request)
}

/// An upgrade to HTTP/2 would take the connection past every check that is made here.
fn is_http2(upgrade: &[u8]) -> bool {
    members(upgrade)
        .any(|m| m.len() >= 3 && (m[..3].eq_ignore_ascii_case(b"h2c") || m[..3].eq_ignore_ascii_case(b"htt")))
}

/// The options of `Connection` (RFC 9110 §7.6.1).
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    /// Whether other names are listed.
    pub others: bool,
}

impl Options {
    pub(crate) fn see(&mut self, value: &[u8]) {
        for member in members(value) {
            if member.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if member.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if member.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.others = true;
            }
        }
    }
}

/// Marks the fields that `Connection` names. A message must not lose what frames or routes it that way.
pub(crate) fn drop_listed(buf: &[u8], head: &mut Head) -> Result<(), Malformed> {
    for i in 0..head.fields.len() {
        let listing = head.fields[i];
        if listing.known != Known::Connection {
            continue;
        }
        for member in members(listing.value.of(buf)) {
            if matches!(known(member), Known::Host | Known::ContentLength | Known::TransferEncoding) {
                return Err(Malformed::Connection);
            }
            for field in &mut head.fields {
                field.dropped |= field.name.of(buf).eq_ignore_ascii_case(member);
            }
        }
    }
    Ok(())
}

/// What the fields that frame a body say; any doubt is an error.
#[derive(Debug, Default)]
pub(crate) struct FramingFields {
    length: Option<u64>,
    chunked: bool,
}

impl FramingFields {
    pub(crate) fn see(&mut self, field: &Field, buf: &[u8]) -> Result<(), Malformed> {
        let value = field.value.of(buf);
        if field.known == Known::ContentLength {
            let known_before = self.length.replace(decimal(value).ok_or(Malformed::ContentLength)?);
            return if known_before.is_some() { Err(Malformed::ContentLength) } else { Ok(()) };
        }
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed::TransferEncoding);
        }
        self.chunked = true;
        Ok(())
    }

    fn of_request(&self, minor: u8) -> Result<Framing, Malformed> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Malformed::TwoFramings),
            (None, true) if minor == 0 => Err(Malformed::TransferEncoding),
            (None, true) => Ok(Framing::Chunked),
            (Some(0) | None, false) => Ok(Framing::None),
            (Some(n), false) => Ok(Framing::Length(n)),
        }
    }

    /// The framing of a response that may have a body.
    pub(crate) fn of_response(&self, minor: u8) -> Result<Framing, Malformed> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(Malformed::TwoFramings),
            (None, true) if minor == 0 => Err(Malformed::TransferEncoding),
            (None, true) => Ok(Framing::Chunked),
            (Some(0), false) => Ok(Framing::None),
            (Some(n), false) => Ok(Framing::Length(n)),
            (None, false) => Ok(Framing::Close),
        }
    }
}

/// A plain decimal number of at most 18 digits.
pub(crate) fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 18 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |n, &b| n * 10 + u64::from(b - b'0')))
}

/// Whether a client's request id may go into logs and headers: 1 to 128 characters of a harmless set.
pub(crate) fn is_sane_id(id: &[u8]) -> bool {
    let harmless =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'/' | b'+' | b'=');
    (1..=128).contains(&id.len()) && id.iter().all(harmless)
}

#[cfg(test)]
mod tests;
