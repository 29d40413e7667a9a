//! HTTP/1.1 to HTTP/1.1: the edge's own data path, from bytes to bytes.
//!
//! Pure parts first (`head`, `field`, `target`, `chunked`, `body`, `request`, `response`, `rewrite`,
//! `reading`): functions of bytes without a socket or a clock. Then the parts that move bytes (`conn`, `exchange`, `relay`,
//! `tunnel`). A message that two parsers could read differently never gets past the pure parts.

pub(crate) mod answer;
pub(crate) mod ask;
pub(crate) mod body;
pub(crate) mod chunked;
pub(crate) mod conn;
mod context;
pub(crate) mod exchange;
pub(crate) mod field;
pub(crate) mod head;
mod reading;
mod receive;
mod relay;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod rewrite;
mod send;
pub(crate) mod target;
mod tunnel;

pub use head::Malformed;
pub use reading::{CLIENT_LINES, Reading, WORKLOAD_LINES, read_request};
