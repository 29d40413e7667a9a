//! How many are served at once, and how fast.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Limits;

/// How far the rate may be behind before a sender waits: what a timer can tell apart.
const GRAIN: Duration = Duration::from_millis(2);

/// What is being sent to others.
#[derive(Debug)]
pub struct Uploads {
    places: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    rate: Option<NonZeroU64>,
    /// When all that was sent would have gone out at the rate.
    free: Mutex<Instant>,
    sent: AtomicU64,
    refused: AtomicU64,
}

impl Uploads {
    pub fn new(limits: &Limits) -> Self {
        Self {
            places: Arc::new(Semaphore::new(limits.uploads.min(Semaphore::MAX_PERMITS))),
            streams: Arc::new(Semaphore::new(limits.streams.min(Semaphore::MAX_PERMITS))),
            rate: limits.upload_rate,
            free: Mutex::new(Instant::now()),
            sent: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// A stream's place among those that are served, until it is dropped.
    pub fn stream(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// A place among those to whom pieces are sent, until it is dropped.
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// Waits until `bytes` may be sent.
    pub async fn pace(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        let Some(rate) = self.rate else { return };
        let nanos = u128::from(bytes as u64) * 1_000_000_000 / u128::from(rate.get());
        let takes = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let from = {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            let from = (*free).max(now);
            *free = from + takes;
            from
        };
        if from > now + GRAIN {
            tokio::time::sleep_until(from.into()).await;
        }
    }

    /// The bytes of pieces that were sent, how often somebody was told that we are busy.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}
