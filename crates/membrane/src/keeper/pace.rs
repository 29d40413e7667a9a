//! How fast output is taken in: a flood waits in the pipe of whoever makes it, and costs nobody else the disk.

use std::time::{Duration, Instant};

/// For this long, output may come as fast as it likes; as much is saved up.
const BURST: Duration = Duration::from_secs(1);
/// How long whoever has used that up is left alone at least: reading a few bytes at a time costs more than it saves.
const PAUSE: Duration = Duration::from_millis(10);

/// A bucket of bytes that fills at a steady rate.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes a second.
    rate: u64,
    /// Bytes that may come at once; below zero, what came too early.
    left: i64,
    at: Instant,
}

impl Pace {
    /// One that is full.
    pub fn new(rate: u64, now: Instant) -> Self {
        Self { rate, left: worth(rate, BURST), at: now }
    }

    /// Takes note of output; until when no more is to be read, if it was too much.
    pub fn spend(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let gained = worth(self.rate, now.saturating_duration_since(self.at));
        self.left = self.left.saturating_add(gained).min(worth(self.rate, BURST));
        self.left = self.left.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.at = now;
        let debt = u128::from(self.left.min(0).unsigned_abs());
        let wait = debt * 1_000_000_000 / u128::from(self.rate.max(1));
        let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX));
        (debt > 0).then(|| now + wait.max(PAUSE))
    }
}

/// What comes in so much time.
fn worth(rate: u64, time: Duration) -> i64 {
    i64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn in_the_long_run_nothing_is_faster_than_the_rate(
            rate in 1_u64..1 << 24,
            pieces in prop::collection::vec((0_usize..4 << 20, 0_u64..500), 1..100),
        ) {
            let began = Instant::now();
            let (mut now, mut total) = (began, 0);
            let mut pace = Pace::new(rate, began);
            for (bytes, idle) in pieces {
                now += Duration::from_millis(idle);
                let paid = (now - began).as_secs_f64() + BURST.as_secs_f64();
                prop_assert!(total as f64 <= paid * rate as f64 + 100.0, "{total} in {:?}", now - began);
                total += bytes;
                now = pace.spend(bytes, now).unwrap_or(now);
            }
        }
    }

    #[test]
    fn who_is_slow_never_waits_and_who_was_silent_has_no_more_than_a_burst() {
        let began = Instant::now();
        let mut pace = Pace::new(1000, began);
        for second in 0..100 {
            assert_eq!(pace.spend(1000, began + Duration::from_secs(second)), None);
        }
        let later = began + Duration::from_secs(1_000_000);
        assert_eq!(pace.spend(1000, later), None);
        assert_eq!(pace.spend(1000, later), Some(later + Duration::from_secs(1)));
        assert_eq!(pace.spend(1, later + Duration::from_secs(1)), Some(later + Duration::from_millis(1010)));
    }
}
