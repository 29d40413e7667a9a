//! One header line: where its name and value stand, and whether the edge has to know it.

use super::head::{Malformed, Span};

/// A header line of a parsed head, by position in the bytes it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The name as it was sent; the line starts where it starts.
    pub name: Span,
    /// The value without the white space around it.
    pub value: Span,
    /// The first byte after the line's CRLF.
    pub end: u32,
    /// What it means to the edge.
    pub known: Known,
    /// Whether it stays behind when the message is forwarded.
    pub dropped: bool,
}

/// The fields an edge acts on; all others are carried as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Carried as it is.
    Other,
    /// `Host`
    Host,
    /// `Content-Length`
    ContentLength,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Connection`
    Connection,
    /// `Upgrade`
    Upgrade,
    /// `Expect`
    Expect,
    /// Of one hop, and of no use to the next: `Keep-Alive`, `TE`, `Proxy-*`.
    OneHop,
    /// `X-Request-Id`
    RequestId,
    /// Written by the edge alone: `X-Mycelium-Edge`, `X-Forwarded-Proto`, `X-Forwarded-Host`.
    Ours,
    /// `X-Forwarded-For`
    ForwardedFor,
    /// `Traceparent`
    TraceParent,
    /// `Tracestate`
    TraceState,
}

/// Characters of a token (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut i = 0;
    while i < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "i < 256")]
        let b = i as u8;
        table[i] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        i += 1;
    }
    table
};

/// Whether `b` may stand in a token.
pub(crate) const fn is_token(b: u8) -> bool {
    TOKEN[b as usize]
}

/// Parses the line that starts at `start` and whose CR stands at `cr`.
pub(crate) fn parse(buf: &[u8], start: usize, cr: usize) -> Result<Field, Malformed> {
    let line = &buf[start..cr];
    let colon = line.iter().position(|&b| !is_token(b)).ok_or(Malformed::FieldName)?;
    if colon == 0 || line[colon] != b':' {
        return Err(Malformed::FieldName);
    }
    let raw = &line[colon + 1..];
    let lead = raw.iter().position(|&b| b != b' ' && b != b'\t').unwrap_or(raw.len());
    let tail = raw.iter().rposition(|&b| b != b' ' && b != b'\t').map_or(lead, |i| i + 1);
    let value = &raw[lead..tail];
    if has_control(value) {
        return Err(Malformed::FieldValue);
    }
    let name = &line[..colon];
    let known = known(name);
    if known == Known::Other && shadows(name) {
        return Err(Malformed::Shadow);
    }
    Ok(Field {
        name: Span::new(start, start + colon),
        value: Span::new(start + colon + 1 + lead, start + colon + 1 + tail),
        end: Span::offset(cr + 2),
        known,
        dropped: false,
    })
}

/// Whether a value holds a control character other than a tab (CR, LF and NUL among them).
pub(crate) fn has_control(value: &[u8]) -> bool {
    // Without a branch in the loop, so that it is vectorised.
    value.iter().fold(false, |bad, &b| bad | ((b < 0x20) & (b != b'\t')) | (b == 0x7f))
}

/// What a name means to the edge.
pub(crate) fn known(name: &[u8]) -> Known {
    let is = |text: &str| name.eq_ignore_ascii_case(text.as_bytes());
    match name.len() {
        2 if is("te") => Known::OneHop,
        4 if is("host") => Known::Host,
        5 if is("proxy") => Known::OneHop,
        6 if is("expect") => Known::Expect,
        7 if is("upgrade") => Known::Upgrade,
        10 if is("connection") => Known::Connection,
        10 if is("keep-alive") => Known::OneHop,
        10 if is("tracestate") => Known::TraceState,
        11 if is("traceparent") => Known::TraceParent,
        12 if is("x-request-id") => Known::RequestId,
        14 if is("content-length") => Known::ContentLength,
        15 if is("x-mycelium-edge") => Known::Ours,
        15 if is("x-forwarded-for") => Known::ForwardedFor,
        16 if is("x-forwarded-host") => Known::Ours,
        16 if is("proxy-connection") => Known::OneHop,
        17 if is("x-forwarded-proto") => Known::Ours,
        17 if is("transfer-encoding") => Known::TransferEncoding,
        18 if is("proxy-authenticate") => Known::OneHop,
        19 if is("proxy-authorization") => Known::OneHop,
        _ => Known::Other,
    }
}

/// Whether a workload that reads `_` as `-` (CGI, WSGI) would take this name for one the edge controls.
fn shadows(name: &[u8]) -> bool {
    if !name.contains(&b'_') || name.len() > 19 {
        return false;
    }
    let mut plain = [0_u8; 19];
    for (to, &from) in plain.iter_mut().zip(name) {
        *to = if from == b'_' { b'-' } else { from };
    }
    known(&plain[..name.len()]) != Known::Other
}

/// The comma-separated, trimmed, non-empty members of a list value.
pub(crate) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(<[u8]>::trim_ascii).filter(|m| !m.is_empty())
}
