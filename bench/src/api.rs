//! Api: the mesh's local API as one asks it between measurements: blocking, a connection a request.
//!
//! Deliberately not the product's own client: a bench that shared its code would share its mistakes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The socket of a running mesh.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where it is.
    pub socket: PathBuf,
}

impl Api {
    /// What stands at `path`.
    pub fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, &[])
    }

    /// Hands `body` to `path`.
    pub fn post(&self, path: &str, body: &[u8]) -> Result<Value> {
        self.call("POST", path, body)
    }

    fn call(&self, method: &str, path: &str, body: &[u8]) -> Result<Value> {
        let what = || format!("failed to {method} {path}");
        let mut stream = UnixStream::connect(&self.socket).with_context(what)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: mesh\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(&[head.as_bytes(), body].concat()).with_context(what)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).with_context(what)?;
        let (status, body) = split(&answer).with_context(what)?;
        if !(200..300).contains(&status) {
            bail!("{}: status {status}: {}", what(), String::from_utf8_lossy(body));
        }
        serde_json::from_slice(body).with_context(what)
    }
}

/// The status, and the body of an answer that has a length or ends with its connection.
fn split(answer: &[u8]) -> Result<(u16, &[u8])> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = parsed.parse(answer)? else { bail!("the answer was cut") };
    if parsed.headers.iter().any(|field| field.name.eq_ignore_ascii_case("transfer-encoding")) {
        bail!("the answer came in chunks");
    }
    Ok((parsed.code.context("no status")?, &answer[head..]))
}
