//! Scent: what a node tells the world about itself, over OTLP (the OpenTelemetry protocol): spans, metrics, log records.
//!
//! Whoever has something to tell hands it over and goes on: queues are bounded, and what finds one full is counted as
//! dropped. One task a kind of thing sends what is queued, in batches; while the collector is away it tries again, ever
//! more rarely, says so once, and goes on where it left off when the collector is back. Nothing here reads the
//! environment or a clock that anybody else decides by, and nothing is decided by what it sends.

mod counts;
mod endpoint;
mod exporter;
mod log;
mod metric;
mod resource;
mod send;
mod settings;
mod trace;

pub use counts::{Count, Kind};
pub use endpoint::{Endpoint, Protocol};
pub use exporter::{Scent, Task};
pub use log::{Record, Severity};
pub use resource::Attributes;
pub use settings::{BadSettings, Settings};
