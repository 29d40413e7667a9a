//! Call: one HTTP GET, and its answer as text.
//!
//! A connection a call, so that nothing has to be kept or noticed to be dead.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest wait for a connection, and for each part of the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer.
const MAX_ANSWER: u64 = 64 * 1024;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum CallError {
    /// Not a URL of the form `http://host:port/path`.
    Url,
    /// Nobody there, or the connection broke.
    Io(io::Error),
    /// Not HTTP, or in a form that isn't understood here.
    Garbled,
    /// Any status but 200.
    Status(u16),
}

/// Asks for `url`; these header fields go along.
pub(crate) fn get(url: &str, fields: &[(&str, String)]) -> Result<String, CallError> {
    let (authority, path) = split(url).ok_or(CallError::Url)?;
    let mut stream = connect(authority)?;
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n{fields}Connection: close\r\n\r\n").as_bytes(),
    )?;
    let mut bytes = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut bytes)?;
    parse(&bytes)
}

fn split(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("http://")?;
    let slash = rest.find('/')?;
    Some(rest.split_at(slash)).filter(|(authority, _)| !authority.is_empty())
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn parse(bytes: &[u8]) -> Result<String, CallError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).map_err(|_| CallError::Garbled)? else {
        return Err(CallError::Garbled);
    };
    let status = response.code.ok_or(CallError::Garbled)?;
    if status != 200 {
        return Err(CallError::Status(status));
    }
    let field = |name: &str| response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    if field("transfer-encoding").is_some() {
        return Err(CallError::Garbled);
    }
    let body = &bytes[head..];
    if let Some(length) = field("content-length") {
        let length = std::str::from_utf8(length.value).ok().and_then(|text| text.parse::<usize>().ok());
        if length != Some(body.len()) {
            return Err(CallError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(String::from_utf8_lossy(body).into_owned())
}

impl From<io::Error> for CallError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str("MESH_EDGE is no URL like http://127.0.0.1:8080"),
            Self::Io(error) => error.fmt(f),
            Self::Garbled => f.write_str("what came back could not be read as HTTP"),
            Self::Status(status) => write!(f, "status {status}"),
        }
    }
}

#[cfg(test)]
mod tests;
