//! The one place that reads the clock.

use std::time::SystemTime;

use types::Timestamp;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl SystemClock {
    pub(crate) fn now(self) -> Timestamp {
        SystemTime::now().into()
    }
}
