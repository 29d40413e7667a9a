//! The one place that reads the clock.

use std::time::{Duration, SystemTime};

use fabric::Fabric;
use types::Timestamp;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl SystemClock {
    pub(crate) fn now(self) -> Timestamp {
        SystemTime::now().into()
    }
}

/// Lets the fabric's time pass, once a minute.
pub(crate) async fn tick(fabric: &Fabric) {
    let mut minutes = tokio::time::interval(Duration::from_secs(60));
    loop {
        minutes.tick().await;
        fabric.tick(SystemClock.now());
    }
}
