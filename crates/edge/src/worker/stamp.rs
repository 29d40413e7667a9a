//! What is put on every message: the time, written once a second, and request ids that cost a counter.

use std::cell::Cell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{Duration, Instant, SystemTime};

/// Length of `2025-09-06T00:00:00Z`.
const TEXT: usize = 20;
/// Characters of a request id: 8 of the worker, 12 of the count.
pub(crate) const ID: usize = 20;

/// The time as RFC 3339, with seconds.
#[derive(Debug)]
pub(crate) struct Stamp {
    text: Cell<[u8; TEXT]>,
    /// When `text` is out of date, on the clock of [`Instant`].
    until: Cell<Instant>,
}

impl Stamp {
    pub(crate) fn new(now: Instant) -> Self {
        Self { text: Cell::new([b'0'; TEXT]), until: Cell::new(now) }
    }

    /// The text for `now`.
    pub(crate) fn at(&self, now: Instant) -> [u8; TEXT] {
        if now >= self.until.get() {
            let wall = SystemTime::now();
            let text = humantime::format_rfc3339_seconds(wall).to_string();
            if let Ok(text) = text.as_bytes().try_into() {
                self.text.set(text);
            }
            let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let left = Duration::from_secs(1) - Duration::from_nanos(u64::from(since.subsec_nanos()));
            self.until.set(now + left);
        }
        self.text.get()
    }
}

/// Request ids: random by worker, counted within. Unique, not secret.
#[derive(Debug)]
pub(crate) struct Ids {
    prefix: [u8; 8],
    count: Cell<u64>,
}

impl Ids {
    pub(crate) fn new() -> Self {
        // The keys of a RandomState come from the system's random source.
        let random = RandomState::new().build_hasher().finish();
        let mut prefix = [0; 8];
        hex(random, &mut prefix);
        Self { prefix, count: Cell::new(0) }
    }

    pub(crate) fn next(&self) -> [u8; ID] {
        let count = self.count.get();
        self.count.set(count + 1);
        let mut id = [0; ID];
        id[..8].copy_from_slice(&self.prefix);
        hex(count, &mut id[8..]);
        id
    }
}

fn hex(mut n: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(n & 15) as usize];
        n >>= 4;
    }
}
