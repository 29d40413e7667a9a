//! The one place that reads the clock.

use std::time::{Duration, SystemTime};

use fabric::Fabric;
use types::Timestamp;

use crate::quarantine::Pulse;

/// How often the runtime shows that it goes on: well within the watchdog's patience.
const BEAT: Duration = Duration::from_millis(200);

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

/// Shows that the runtime goes on.
pub(crate) async fn beat(pulse: &Pulse) {
    loop {
        pulse.end();
        tokio::time::sleep(BEAT).await;
    }
}
