//! The bounds on what others may cost us, and on how long we wait for them.

use std::num::NonZeroU64;
use std::time::Duration;

/// Bounds of an [`Exchange`](super::Exchange). The defaults suit a mesh of machines; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// To how many streams pieces are sent at once; who asks beyond is told that we are busy.
    pub uploads: usize,
    /// How many streams are served at once, those that only ask what is here included; more are dropped.
    pub streams: usize,
    /// How many bytes of pieces are sent a second, to all together. `None`: as many as the network takes.
    pub upload_rate: Option<NonZeroU64>,
    /// From how many holders one spore is fetched at once.
    pub holders: usize,
    /// How long the other side may take for the next 256 KiB, or for the next answer or request.
    pub idle: Duration,
    /// How long an upload that nothing is asked of any more keeps its place from others.
    pub linger: Duration,
    /// How long a fetch goes on without a piece and without anybody who says that they are busy. Ten times as long
    /// if somebody says so.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            uploads: 8,
            streams: 1_024,
            upload_rate: None,
            holders: 8,
            idle: Duration::from_secs(15),
            linger: Duration::from_secs(1),
            patience: Duration::from_secs(60),
        }
    }
}
