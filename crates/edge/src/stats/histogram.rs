//! Latency in logarithmic buckets: four a power of two, from 1 us to 18 minutes; an error of at most 19 %.

use std::time::Duration;

/// Powers of two that are told apart, in microseconds.
const OCTAVES: usize = 30;
/// Buckets in all.
pub(crate) const BUCKETS: usize = OCTAVES * 4;

/// How many times something took about so long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; BUCKETS],
    micros: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS], micros: 0 }
    }
}

/// The bucket of a time in microseconds.
pub(crate) const fn bucket_of(micros: u64) -> usize {
    if micros < 4 {
        // Too short to have quarters.
        return match micros {
            0 | 1 => 0,
            2 => 4,
            _ => 6,
        };
    }
    let octave = micros.ilog2() as usize;
    let quarter = (micros >> (octave - 2) & 3) as usize;
    let bucket = octave * 4 + quarter;
    if bucket < BUCKETS { bucket } else { BUCKETS - 1 }
}

/// The first microsecond above a bucket.
const fn upper(bucket: usize) -> u64 {
    let octave = bucket / 4;
    let next = 4 + bucket as u64 % 4 + 1;
    if octave >= 2 { next << (octave - 2) } else { (next << octave).div_ceil(4) }
}

impl Histogram {
    pub(crate) fn add_bucket(&mut self, bucket: usize, n: u64) {
        self.buckets[bucket] += n;
    }

    pub(crate) fn add_micros(&mut self, micros: u64) {
        self.micros = self.micros.wrapping_add(micros);
    }

    /// What came since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut new = self.clone();
        for (now, then) in new.buckets.iter_mut().zip(&before.buckets) {
            *now = now.saturating_sub(*then);
        }
        new.micros = new.micros.saturating_sub(before.micros);
        new
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum of all.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// An upper bound of the quantile `q` (0 to 1); zero when there is nothing.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Duration {
        #[expect(clippy::cast_precision_loss, reason = "a rank needs no more than 53 bits")]
        let wanted = q.clamp(0.0, 1.0) * self.count() as f64;
        let mut seen = 0;
        for (bucket, &n) in self.buckets.iter().enumerate() {
            seen += n;
            #[expect(clippy::cast_precision_loss, reason = "as above")]
            if n > 0 && seen as f64 >= wanted {
                return Duration::from_micros(upper(bucket));
            }
        }
        Duration::ZERO
    }

    /// (upper bound, count up to it) for each power of two from 64 us to 67 s.
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        (6..=26).map(|octave| {
            let count = self.buckets[..octave * 4].iter().sum();
            (Duration::from_micros(1 << octave), count)
        })
    }
}
