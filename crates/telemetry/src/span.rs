//! A request as a node saw it: what becomes a span.

use std::fmt::Debug;
use std::time::SystemTime;

use crate::Context;

/// One request, from its head to the end of its response. Texts from outside are cut to what a span may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The trace, and this span in it.
    pub context: Context,
    /// The span of whoever sent the request.
    pub parent: Option<[u8; 8]>,
    /// When its head was there.
    pub started: SystemTime,
    /// When its response had ended.
    pub ended: SystemTime,
    /// The method, as it was sent.
    pub method: String,
    /// The path, as it was sent, without its query.
    pub path: String,
    /// The host that was asked for, with its port if there was one.
    pub host: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `1.0`, `1.1` or `2`.
    pub version: &'static str,
    /// The app it was for.
    pub app: String,
    /// `app/node/replica` of the replica that had it last.
    pub endpoint: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// How often it was tried again, and why.
    pub retries: Vec<Retry>,
}

/// A try that gave no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// When it had failed.
    pub at: SystemTime,
    /// `app/node/replica` that was tried.
    pub endpoint: String,
    /// What went wrong.
    pub reason: String,
}

/// Who takes spans. It must not wait: it is called where requests are served.
pub trait Sink: Debug + Send + Sync {
    /// Takes one, or counts it as lost.
    fn take(&self, span: Span);
}
