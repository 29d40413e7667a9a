//! Telemetry: the names and shapes of what the mesh says about itself (events, metric names).
//!
//! Shapes only: nothing here prints, serves or stores.

mod event;
pub mod metric;

pub use event::{Event, EventKind};
