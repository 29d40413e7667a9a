//! Messages: the head of a request as it is parsed, a response as it is written.

use std::borrow::Cow;
use std::io::Write;

use httparse::{EMPTY_HEADER, Header, Status};

/// The most header fields a request may have.
const MAX_HEADERS: usize = 100;

/// A request's head.
#[derive(Debug)]
pub struct Request<'a> {
    /// `GET`, `HEAD`, …
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    headers: &'a [Header<'a>],
}

impl<'a> Request<'a> {
    /// The first field called `name`, in any case, when it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let field = self.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(field.value).ok()
    }
}

/// What a handler says: the answer, or how to come by it without holding up the other connections.
pub enum Reply {
    /// The answer.
    Now(Response),
    /// Runs on a thread of its own.
    Later(Box<dyn FnOnce() -> Response + Send>),
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

/// An answer in plain text.
#[derive(Debug, Clone)]
pub struct Response {
    status: u16,
    body: Cow<'static, str>,
}

impl Response {
    /// An answer with a status (of those `reason` knows) and a body.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status, body: body.into() }
    }

    /// 200 with a body.
    #[must_use]
    pub fn ok(body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(200, body)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(404, "not found\n")
    }

    /// Appends the message as it goes over the wire.
    pub(crate) fn write(&self, out: &mut Vec<u8>, head_only: bool, close: bool) {
        let (status, reason, length) = (self.status, reason(self.status), self.body.len());
        let connection = if close { "connection: close\r\n" } else { "" };
        write!(
            out,
            "HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {length}\r\n{connection}\r\n"
        )
        .expect("writing to memory never fails");
        if !head_only {
            out.extend_from_slice(self.body.as_bytes());
        }
    }
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        411 => "Length Required",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        _ => "Other",
    }
}

/// How a request's head lies in the bytes it came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Bytes of the head.
    pub(crate) head: usize,
    /// Bytes of the body that follows.
    pub(crate) body: u64,
    /// No other request can follow on this connection.
    pub(crate) close: bool,
    /// The answer must have no body.
    pub(crate) head_only: bool,
}

/// Why a request can't be answered by the handler: the status that says so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) u16);

/// Parses the request at the start of `bytes` and hands it to `handle`; `None` when its head isn't all there yet.
pub(crate) fn parse<T>(
    bytes: &[u8],
    handle: impl FnOnce(&Request<'_>) -> T,
) -> Result<Option<(Framing, T)>, Refused> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let head = match parsed.parse(bytes) {
        Ok(Status::Complete(head)) => head,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(Refused(431)),
        Err(_) => return Err(Refused(400)),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(Refused(400));
    };
    let framing = framing(head, method, minor, parsed.headers)?;
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    let request = Request { method, path, headers: parsed.headers };
    Ok(Some((framing, handle(&request))))
}

fn framing(head: usize, method: &str, minor: u8, headers: &[Header<'_>]) -> Result<Framing, Refused> {
    let (mut hosts, mut length, mut close) = (0, None, minor == 0);
    for field in headers {
        if field.name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if field.name.eq_ignore_ascii_case("content-length") {
            let value =
                std::str::from_utf8(field.value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let value = value.and_then(|text| text.parse::<u64>().ok()).ok_or(Refused(400))?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(Refused(400));
            }
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(Refused(411));
        } else if field.name.eq_ignore_ascii_case("connection") {
            for option in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                close = option.eq_ignore_ascii_case(b"close")
                    || close && !option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if field.name.eq_ignore_ascii_case("expect") {
            // answered without a `100 Continue`, so whether the body comes is unknown
            close = true;
        }
    }
    if minor == 1 && hosts != 1 {
        return Err(Refused(400));
    }
    Ok(Framing { head, body: length.unwrap_or(0), close, head_only: method == "HEAD" })
}

#[cfg(test)]
mod tests;
