//! Histogram: latencies in buckets that are at most 0.8 % wide, whatever their size.

/// Buckets a power of two is divided into.
const FINE: u32 = 7;

/// Counts of nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    /// Adds one value.
    pub fn record(&mut self, nanos: u64) {
        let index = index(nanos);
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.max = self.max.max(nanos);
    }

    /// The value below which `quantile` (0 to 1) of all lie, in microseconds; 0 without any.
    #[must_use]
    pub fn micros(&self, quantile: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a rank among fewer than 2^52"
        )]
        let rank = ((self.total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return micros(middle(index).min(self.max));
            }
        }
        0.0
    }

    /// The largest, in microseconds.
    #[must_use]
    pub fn max_micros(&self) -> f64 {
        micros(self.max)
    }
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a bench run")]
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// Values below 2^FINE have a bucket each; above, a power of two has 2^FINE.
fn index(value: u64) -> usize {
    let shift = (u64::BITS - value.leading_zeros()).saturating_sub(FINE + 1);
    (u64::from(shift) << FINE) as usize + (value >> shift) as usize
}

fn middle(index: usize) -> u64 {
    let (index, fine) = (index as u64, 1 << FINE);
    if index < 2 * fine {
        return index;
    }
    let shift = index / fine - 1;
    let low = (index - shift * fine) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_is_close_to_its_middle() {
        for value in (0..2_000).chain((1..1_000).map(|n| n * 7_777_777)) {
            let off = middle(index(value)).abs_diff(value);
            assert!(off * 128 <= value, "{value} is {off} off");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::default();
        for value in 1..=100 {
            histogram.record(value * 1_000);
        }
        assert!((histogram.micros(0.5) - 50.0).abs() < 0.5);
        assert!((histogram.micros(0.99) - 99.0).abs() < 0.8);
        assert!((histogram.micros(1.0) - 100.0).abs() < 0.001);
    }
}
