//! Heads of HTTP/1 messages: bytes in, positions out (RFC 9112), strict.
//!
//! One pass, no allocation once the field list has grown. Where the RFC lets a parser be lenient (bare LF, obs-fold, white
//! space before a colon) this one refuses: leniency is what request smuggling is made of.

use super::field::{self, Field, is_token};

/// A range of the buffer a head was parsed from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Self {
        Self { start: Self::offset(start), end: Self::offset(end) }
    }

    pub(crate) fn offset(at: usize) -> u32 {
        u32::try_from(at).expect("a head is smaller than 4 GiB")
    }

    /// The bytes it stands for.
    #[must_use]
    pub fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start as usize..self.end as usize]
    }

    pub(crate) const fn start(self) -> usize {
        self.start as usize
    }
}

/// A parsed head: three parts of the first line, then the fields. Kept and filled anew for each message.
#[derive(Debug, Default)]
pub struct Head {
    /// Method, target, version of a request; version, status, reason of a response.
    pub line: [Span; 3],
    /// The header lines in the order they came.
    pub fields: Vec<Field>,
    /// How many bytes the head takes, its empty line included.
    pub len: usize,
}

/// Why a head, or a body's framing, is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message is the documentation")]
pub enum Malformed {
    #[error("a line that ends in a bare LF")]
    BareLf,
    #[error("a first line that is none")]
    FirstLine,
    #[error("a method that is not a token of at most 32 characters")]
    Method,
    #[error("a target with characters that may not stand in one")]
    Target,
    #[error("an HTTP version that is neither 1.1 nor 1.0")]
    Version,
    #[error("a status that is not three digits")]
    Status,
    #[error("a header line folded onto a second one")]
    Folded,
    #[error("a header name that is not a token right before its colon")]
    FieldName,
    #[error("a header value with a control character")]
    FieldValue,
    #[error("a header name with '_' that passes for one with '-' the edge relies on")]
    Shadow,
    #[error("too many header lines")]
    TooMany,
    #[error("no Host")]
    NoHost,
    #[error("more than one Host, or one that is no host")]
    Host,
    #[error("a Host that differs from the target's")]
    HostDiffers,
    #[error("Content-Length and Transfer-Encoding at once")]
    TwoFramings,
    #[error("a Content-Length that is not one plain number")]
    ContentLength,
    #[error("a Transfer-Encoding other than chunked alone")]
    TransferEncoding,
    #[error("a Connection header that names a header the message can't do without")]
    Connection,
    #[error("an expectation other than 100-continue")]
    Expect,
    #[error("a chunk whose size is not 1 to 15 hexadecimal digits")]
    ChunkSize,
    #[error("a chunk extension that is too long or no text")]
    ChunkExtension,
    #[error("a chunk that doesn't end where its size says")]
    ChunkEnd,
    #[error("trailers that are too long or not allowed as such")]
    Trailer,
}

/// Parses a request's head at the start of `buf`: `Ok(true)` when it is complete and `head` describes it, `Ok(false)`
/// when more bytes are needed. One empty line before it is skipped (RFC 9112 §2.2).
pub fn parse_request(buf: &[u8], max_fields: usize, head: &mut Head) -> Result<bool, Malformed> {
    let skip = if buf.starts_with(b"\r\n") { 2 } else { 0 };
    let Some(cr) = line_end(buf, skip)? else { return Ok(false) };
    let line = &buf[skip..cr];
    let method = line.iter().position(|&b| !is_token(b)).ok_or(Malformed::FirstLine)?;
    if method == 0 || method > 32 || line[method] != b' ' {
        return Err(Malformed::Method);
    }
    let rest = &line[method + 1..];
    let target = memchr::memchr(b' ', rest).ok_or(Malformed::FirstLine)?;
    let version = &rest[target + 1..];
    if target == 0 || !rest[..target].iter().all(|&b| is_target(b)) {
        return Err(Malformed::Target);
    }
    if version != b"HTTP/1.1" && version != b"HTTP/1.0" {
        return Err(Malformed::Version);
    }
    let from = skip + method + 1;
    head.line =
        [Span::new(skip, skip + method), Span::new(from, from + target), Span::new(from + target + 1, cr)];
    fields(buf, cr + 2, max_fields, head)
}

/// Parses a response's head at the start of `buf`; as [`parse_request`].
pub fn parse_response(buf: &[u8], max_fields: usize, head: &mut Head) -> Result<bool, Malformed> {
    let Some(cr) = line_end(buf, 0)? else { return Ok(false) };
    let line = &buf[..cr];
    if line.len() < 12 || line[8] != b' ' {
        return Err(Malformed::FirstLine);
    }
    if &line[..8] != b"HTTP/1.1" && &line[..8] != b"HTTP/1.0" {
        return Err(Malformed::Version);
    }
    if !line[9..12].iter().all(u8::is_ascii_digit) || !(b'1'..=b'5').contains(&line[9]) {
        return Err(Malformed::Status);
    }
    // Some leave out the space after the status when there is no reason.
    let reason = match line.get(12) {
        None => 12,
        Some(b' ') => 13,
        Some(_) => return Err(Malformed::Status),
    };
    if field::has_control(&line[reason..]) {
        return Err(Malformed::FirstLine);
    }
    head.line = [Span::new(0, 8), Span::new(9, 12), Span::new(reason, cr)];
    fields(buf, cr + 2, max_fields, head)
}

/// Parses field lines and the empty line after them, from `at` on.
fn fields(buf: &[u8], mut at: usize, max: usize, head: &mut Head) -> Result<bool, Malformed> {
    head.fields.clear();
    loop {
        let Some(cr) = line_end(buf, at)? else { return Ok(false) };
        if cr == at {
            head.len = cr + 2;
            return Ok(true);
        }
        if matches!(buf[at], b' ' | b'\t') {
            return Err(Malformed::Folded);
        }
        if head.fields.len() >= max {
            return Err(Malformed::TooMany);
        }
        head.fields.push(field::parse(buf, at, cr)?);
        at = cr + 2;
    }
}

/// Parses the trailer section of a chunked body, its empty line included; `buf` is all of it.
pub(crate) fn parse_trailers(buf: &[u8], max: usize, head: &mut Head) -> Result<bool, Malformed> {
    fields(buf, 0, max, head)
}

/// Where the CR of the line's CRLF stands; `None` when the line isn't complete.
fn line_end(buf: &[u8], at: usize) -> Result<Option<usize>, Malformed> {
    let Some(lf) = memchr::memchr(b'\n', &buf[at..]) else { return Ok(None) };
    if lf == 0 || buf[at + lf - 1] != b'\r' {
        return Err(Malformed::BareLf);
    }
    Ok(Some(at + lf - 1))
}

/// Characters that may stand in a target: visible ASCII but `#` (no fragment is ever sent) and `"<>`.
const fn is_target(b: u8) -> bool {
    matches!(b, 0x21..=0x7e) && !matches!(b, b'#' | b'"' | b'<' | b'>')
}

#[cfg(test)]
mod tests;
