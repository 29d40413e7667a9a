//! Asking a replica for the metric that it scales by: `GET path` at its own port over loopback, Prometheus text back.
//!
//! What comes is a workload's word, so every byte and every wait is bounded. The request is HTTP/1.0, which no answer
//! in chunks may follow.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use types::Metric;

/// The time that one answer may take.
const ONE_ANSWER: Duration = Duration::from_secs(1);
/// The most bytes of one that are read.
const MAX_ANSWER: u64 = 1 << 20;

/// The value of the metric at the replica that listens on `port`, or why there is none.
pub async fn read(port: u16, metric: &Metric) -> Result<f64, String> {
    let path = &metric.path;
    let asked = async {
        let told = |error: std::io::Error| format!("GET {path}: {error}");
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(told)?;
        let request =
            format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: mesh-scale\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(told)?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER + 1).read_to_end(&mut answer).await.map_err(told)?;
        Ok(answer)
    };
    let answer = timeout(ONE_ANSWER, asked)
        .await
        .unwrap_or_else(|_| Err(format!("GET {path}: no answer within {} s", ONE_ANSWER.as_secs())))?;
    if answer.len() as u64 > MAX_ANSWER {
        return Err(format!("GET {path}: more than {MAX_ANSWER} bytes"));
    }
    let text = body(&answer).ok_or_else(|| format!("GET {path}: the answer is not a 200 of HTTP/1"))?;
    value(text, &metric.metric)
}

/// The body of a response whose status is 200.
fn body(answer: &[u8]) -> Option<&[u8]> {
    let rest = answer.strip_prefix(b"HTTP/1.")?;
    if rest.get(1..5) != Some(b" 200") || !matches!(rest.get(5), Some(b' ' | b'\r' | b'\n')) {
        return None;
    }
    let end = |mark: &[u8]| answer.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len());
    let begin = match (end(b"\r\n\r\n"), end(b"\n\n")) {
        (Some(one), Some(other)) => one.min(other),
        (one, other) => one.or(other)?,
    };
    answer.get(begin..)
}

/// The sum of all samples of the metric `name` in a text of Prometheus's exposition format (version 0.0.4).
pub fn value(text: &[u8], name: &str) -> Result<f64, String> {
    let text = std::str::from_utf8(text).map_err(|_| "the metrics are not text".to_owned())?;
    let mut sum = None;
    for line in text.lines() {
        let Some(rest) = line.trim_start().strip_prefix(name) else { continue };
        let rest = match rest.as_bytes().first() {
            Some(b'{') => labels(rest).ok_or_else(|| format!("{name} has labels that don't end"))?,
            Some(b' ' | b'\t') => rest,
            _ => continue,
        };
        let number = rest.split_ascii_whitespace().next().unwrap_or_default();
        let number: f64 = number.parse().map_err(|_| format!("{name} has the value {}", shown(number)))?;
        if !number.is_finite() {
            return Err(format!("{name} is {number}, which is no amount of work"));
        }
        sum = Some(sum.unwrap_or(0.0) + number.max(0.0));
    }
    sum.ok_or_else(|| format!("there is no metric {name}"))
}

/// What follows labels; a brace or a quote within a value doesn't end them.
fn labels(text: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return text.get(at + 1..),
            _ => {}
        }
    }
    None
}

/// The beginning of what a workload said, harmless to show.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

#[cfg(test)]
mod tests;
