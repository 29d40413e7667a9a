//! Load: one thread that keeps many connections busy and misses nothing.
//!
//! Closed: every connection sends the next request when it has its answer. Open: requests are due at a fixed rate, and
//! a latency counts from when its request was *due*, so that a server which stalls can't hide the ones that had to wait
//! (coordinated omission). Every answer is checked to be whole, 200, and of the app that was asked.

mod client;
mod engine;
mod histogram;
mod response;
mod stamp;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

pub use engine::run;
pub use histogram::Histogram;
pub use response::parse;

/// Whom to ask for what.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where.
    pub address: SocketAddr,
    request: Vec<u8>,
    expected: String,
}

impl Target {
    /// `GET path` at `address`; the answer must contain `expected`.
    pub fn new(address: SocketAddr, path: &str, expected: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes();
        Self { address, request, expected: expected.to_owned() }
    }
}

/// When requests are sent.
#[derive(Debug, Clone, Copy)]
pub enum Pace {
    /// As soon as the one before was answered.
    Closed,
    /// So many a second, come what may.
    Open(f64),
}

/// One run.
#[derive(Debug, Clone)]
pub struct Load {
    /// Keep-alive connections.
    pub connections: usize,
    /// When requests are sent.
    pub pace: Pace,
    /// Nothing is counted before this.
    pub warmup: Duration,
    /// How long it counts; [`run`] can be told to end otherwise.
    pub duration: Duration,
    /// The core the thread is bound to.
    pub core: Option<usize>,
    /// Answers that take longer are counted as late, tenth of a second by tenth of a second.
    pub judge: Option<Duration>,
    /// As if it were on another machine: what this thread waits for its own core doesn't count. A latency is from when the
    /// request left (or was due, when all connections were busy) until the kernel had the answer.
    pub remote: bool,
}

/// Why a request has no right answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No connection could be had.
    Connect,
    /// The request couldn't be sent.
    Send,
    /// The connection was reset before a byte of the answer.
    Reset,
    /// The connection ended before a byte of the answer.
    Closed,
    /// The connection ended within the answer.
    Cut,
    /// No answer within ten seconds.
    Timeout,
    /// A status other than 200.
    Status(u16),
    /// An answer that isn't HTTP, or more than one.
    Garbled,
    /// An answer to another question.
    Wrong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("no connection"),
            Self::Send => f.write_str("not sent"),
            Self::Reset => f.write_str("reset"),
            Self::Closed => f.write_str("closed before the answer"),
            Self::Cut => f.write_str("cut within the answer"),
            Self::Timeout => f.write_str("no answer in 10 s"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Garbled => f.write_str("garbled"),
            Self::Wrong => f.write_str("wrong answer"),
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Right answers.
    pub answered: u64,
    /// The others.
    pub failures: BTreeMap<Failure, u64>,
    /// Of the right answers.
    pub latency: Histogram,
    /// The same of a remote load with what this thread waited for its own core: from when a request was due until its answer was
    /// read.
    pub seen: Histogram,
    /// How many requests were due in each tenth of a second, and how many of them were late or failed.
    pub judged: BTreeMap<u64, (u64, u64)>,
    /// How long was counted.
    pub elapsed: Duration,
}

impl Tally {
    /// Right answers a second.
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 requests")]
    pub fn rate(&self) -> f64 {
        self.answered as f64 / self.elapsed.as_secs_f64()
    }

    /// How many had no right answer.
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// The failures in words; empty without any.
    pub fn failures_text(&self) -> String {
        let words: Vec<_> = self.failures.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
        words.join(", ")
    }
}

#[cfg(test)]
mod tests;
