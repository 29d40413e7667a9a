//! Answers of the edge's own: refusals and failures, in plain text, bounded, with the request's id.

use std::fmt::Write as _;

/// The longest body of an answer.
const TEXT_BYTES: usize = 2048;

/// A response that no workload gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub status: u16,
    /// What happened and what to do about it, for people.
    pub text: String,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u32>,
}

impl Answer {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > TEXT_BYTES {
            let end = (0..=TEXT_BYTES).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0);
            text.truncate(end);
        }
        Self { status, text, retry_after: None }
    }

    pub(crate) fn no_app(app: &[u8], known: &[&str]) -> Self {
        let mut text = match printable(app) {
            name if name.is_empty() => "the request names no app".to_owned(),
            name => format!("there is no app {name:?} here"),
        };
        match known {
            [] => text.push_str("; no app is running"),
            _ => {
                let shown: Vec<_> = known.iter().take(20).copied().collect();
                // Writing to a String can't fail.
                let _ = write!(text, "; apps: {}", shown.join(", "));
                if known.len() > shown.len() {
                    let _ = write!(text, " and {} more", known.len() - shown.len());
                }
            }
        }
        Self::new(404, text)
    }

    pub(crate) fn no_endpoint(app: &str) -> Self {
        let text = format!("{app} has no replica that is ready to take requests");
        Self { retry_after: Some(1), ..Self::new(503, text) }
    }

    /// The body: the text, then the request's id.
    pub(crate) fn body(&self, id: &[u8]) -> Vec<u8> {
        let mut body = self.text.clone().into_bytes();
        if !id.is_empty() {
            body.extend_from_slice(b"\nrequest ");
            body.extend_from_slice(id);
        }
        body.push(b'\n');
        body
    }

    /// Writes it as HTTP/1.1.
    pub(crate) fn write(&self, id: &[u8], stamp: &[u8], keep_alive: bool, to_head: bool, out: &mut Vec<u8>) {
        let body = self.body(id);
        let mut head = format!(
            "HTTP/1.1 {} {}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\n",
            self.status,
            reason(self.status),
            body.len()
        );
        if let Some(seconds) = self.retry_after {
            let _ = write!(head, "retry-after: {seconds}\r\n");
        }
        head.push_str(if keep_alive { "connection: keep-alive\r\n" } else { "connection: close\r\n" });
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(b"x-mycelium-edge: ");
        out.extend_from_slice(stamp);
        if !id.is_empty() {
            out.extend_from_slice(b"\r\nx-request-id: ");
            out.extend_from_slice(id);
        }
        out.extend_from_slice(b"\r\n\r\n");
        if !to_head {
            out.extend_from_slice(&body);
        }
    }
}

/// The start of a text from outside, without what a terminal could act on.
fn printable(text: &[u8]) -> String {
    text.iter().take(63).map(|&b| if b.is_ascii_graphic() { char::from(b) } else { '?' }).collect()
}

/// The reason phrase of a status the edge uses.
fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error")
}

#[cfg(test)]
mod tests;
