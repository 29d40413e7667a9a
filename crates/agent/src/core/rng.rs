//! Chance with a seed: SplitMix64 (Steele, Lea, Flood 2014). For names and jitter, never for secrets.

use types::{AppName, ReplicaName};

/// So many characters tell two replicas of an app apart.
const SUFFIX: usize = 5;
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number under `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let high = (u128::from(self.next()) * u128::from(bound)) >> 64;
        u32::try_from(high).unwrap_or(0)
    }

    /// `{app}-{5 characters}`, with the app's name cut where the whole would be too long for a label.
    pub(super) fn replica(&mut self, app: &AppName) -> ReplicaName {
        let bits = self.next();
        let suffix: String = (0..SUFFIX)
            .map(|place| char::from(ALPHABET[usize::try_from((bits >> (5 * place)) & 31).unwrap_or(0)]))
            .collect();
        ReplicaName::of(app, &suffix).expect("an app's name and a label's characters are a label")
    }
}
