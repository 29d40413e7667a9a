//! Telemetry: the names and shapes of what the mesh says about itself (events, metric names, spans).
//!
//! Shapes only: nothing here prints, serves or stores.

pub mod context;
mod event;
pub mod metric;
mod sampler;
mod span;

pub use context::Context;
pub use event::{Event, EventKind};
pub use sampler::{BadSampler, Sampler};
pub use span::{Retry, Sink, Span};
