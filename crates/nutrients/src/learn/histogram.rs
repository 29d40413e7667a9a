//! Histograms: how often which values were seen, in few numbers, the newer counting more.

use std::collections::BTreeMap;

/// How many buckets there are: up to a billion and more.
pub const BUCKETS: usize = 400;
/// The highest value of each bucket: from 1 on in steps of one, and of a twentieth from 40 on.
const BOUNDS: [u64; BUCKETS] = bounds();
/// The sixteenth root of a half, in 65,536ths.
const SIXTEENTH: u128 = 62_757;

/// How often which values were seen: the weight of each bucket that isn't empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram(BTreeMap<u16, u64>);

const fn bounds() -> [u64; BUCKETS] {
    let mut bounds = [1; BUCKETS];
    let mut at = 1;
    while at < BUCKETS {
        let before = bounds[at - 1];
        let step = before / 20;
        bounds[at] = before + if step == 0 { 1 } else { step };
        at += 1;
    }
    bounds
}

fn bucket(value: u64) -> usize {
    BOUNDS.partition_point(|bound| *bound < value).min(BUCKETS - 1)
}

/// The highest value of the bucket that a value is in: at most a twentieth more.
#[must_use]
pub fn round_up(value: u64) -> u64 {
    BOUNDS[bucket(value)].max(value)
}

impl Histogram {
    /// From the numbers of buckets and their weights, in any order; what is none of our buckets counts as the highest.
    pub fn of(buckets: impl IntoIterator<Item = (u16, u64)>) -> Self {
        let mut new = Self::default();
        for (at, weight) in buckets {
            new.put(at.min(BUCKETS as u16 - 1), weight);
        }
        new
    }

    fn put(&mut self, at: u16, weight: u64) {
        if weight > 0 {
            let held = self.0.entry(at).or_default();
            *held = held.saturating_add(weight);
        }
    }

    /// Counts a value that was seen.
    pub fn note(&mut self, value: u64, weight: u64) {
        self.put(bucket(value) as u16, weight);
    }

    /// Takes in another one.
    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(at, weight)| self.put(*at, *weight));
    }

    /// The sixteenth part of a half-life has passed.
    pub fn fade(&mut self) {
        let faded = |weight: u64| (u128::from(weight) * SIXTEENTH / 65_536) as u64;
        self.0.values_mut().for_each(|weight| *weight = faded(*weight));
        self.0.retain(|_, weight| *weight > 0);
    }

    /// The value that so many thousandths of all weight don't exceed; none without any weight.
    #[must_use]
    pub fn quantile(&self, permille: u64) -> Option<u64> {
        let all: u128 = self.0.values().map(|weight| u128::from(*weight)).sum();
        let wanted = (all * u128::from(permille)).div_ceil(1000);
        let mut below = 0;
        let reaches = |(at, weight): (&u16, &u64)| {
            below += u128::from(*weight);
            (below >= wanted).then(|| BOUNDS[usize::from(*at)])
        };
        self.0.iter().find_map(reaches)
    }

    /// The highest value that isn't forgotten.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        self.0.keys().next_back().map(|at| BOUNDS[usize::from(*at)])
    }

    /// Whether nothing was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The buckets that aren't empty, in their order, at most `most`: beyond that, what weighs least is counted as the next
    /// higher value, so that nothing seems to need less than it does.
    #[must_use]
    pub fn buckets(&self, most: usize) -> Vec<(u16, u64)> {
        let mut buckets: Vec<(u16, u64)> = self.0.iter().map(|(at, weight)| (*at, *weight)).collect();
        while buckets.len() > most.max(1) {
            let lower = &buckets[..buckets.len() - 1];
            let least = lower.iter().enumerate().min_by_key(|(_, (_, weight))| *weight);
            let (least, (_, weight)) = least.map(|(at, held)| (at, *held)).expect("there are at least two");
            buckets[least + 1].1 = buckets[least + 1].1.saturating_add(weight);
            buckets.remove(least);
        }
        buckets
    }
}
