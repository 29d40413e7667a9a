//! Which requests are recorded: decided once, where a trace begins, and obeyed by everybody after.

use crate::Context;

/// A sampler, as OpenTelemetry names them (`OTEL_TRACES_SAMPLER`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// Whoever began the trace has decided.
    parent_based: bool,
    /// Of traces that begin here (all, unless `parent_based`), those whose id is below.
    below: u64,
}

/// A sampler that isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSampler {
    /// No such name.
    #[error(
        "there is no sampler {0:?}; there are always_on, always_off, traceidratio, parentbased_always_on, \
         parentbased_always_off, parentbased_traceidratio"
    )]
    Name(String),
    /// No share.
    #[error("{0:?} is no share of all traces: write a number from 0 to 1, such as 0.01")]
    Ratio(String),
}

impl Default for Sampler {
    /// One trace in a hundred, and those that others chose.
    fn default() -> Self {
        Self { parent_based: true, below: share(0.01) }
    }
}

impl Sampler {
    /// Reads a sampler's name and its argument; without a name a ratio is that of the default.
    pub fn read(name: Option<&str>, argument: Option<&str>) -> Result<Self, BadSampler> {
        let ratio = |without: f64| -> Result<u64, BadSampler> {
            let Some(text) = argument else { return Ok(share(without)) };
            let number = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
            number.map(share).ok_or_else(|| BadSampler::Ratio(text.to_owned()))
        };
        let (parent_based, below) = match name {
            None => (true, ratio(0.01)?),
            Some("always_on") => (false, u64::MAX),
            Some("always_off") => (false, 0),
            Some("traceidratio") => (false, ratio(1.0)?),
            Some("parentbased_always_on") => (true, u64::MAX),
            Some("parentbased_always_off") => (true, 0),
            Some("parentbased_traceidratio") => (true, ratio(1.0)?),
            Some(other) => return Err(BadSampler::Name(other.chars().take(80).collect())),
        };
        Ok(Self { parent_based, below })
    }

    /// Whether a request of this `trace` is recorded, whose client had this `parent`.
    #[must_use]
    pub fn samples(&self, parent: Option<&Context>, trace: &[u8; 16]) -> bool {
        match parent {
            Some(parent) if self.parent_based => parent.is_sampled(),
            // The right half is random in all versions; the same on every node.
            _ => {
                self.below == u64::MAX
                    || u64::from_be_bytes(*trace.last_chunk().expect("16 >= 8")) < self.below
            }
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share"
)]
fn share(ratio: f64) -> u64 {
    // A float that is too large becomes the largest number, which is all.
    (ratio * u64::MAX as f64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> impl Iterator<Item = [u8; 16]> {
        (0..10_000_u64).map(|i| {
            let mut id = [1; 16];
            id[8..].copy_from_slice(&i.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            id
        })
    }

    #[test]
    fn a_ratio_is_that_share_of_all_traces() {
        let all = |name, argument| {
            let sampler = Sampler::read(name, argument).unwrap();
            ids().filter(|id| sampler.samples(None, id)).count()
        };
        assert!((80..120).contains(&all(None, None)));
        assert!((2_400..2_600).contains(&all(Some("traceidratio"), Some("0.25"))));
        assert_eq!(all(Some("always_on"), Some("ignored")), 10_000);
        assert_eq!(all(Some("parentbased_traceidratio"), Some("1")), 10_000);
        assert_eq!(all(Some("parentbased_always_off"), None), 0);
        assert_eq!(all(Some("traceidratio"), Some("0")), 0);
    }

    #[test]
    fn who_began_the_trace_has_decided() {
        let (yes, no) = (Context::start([1; 16], [1; 8], true), Context::start([1; 16], [1; 8], false));
        let based = Sampler::read(Some("parentbased_always_off"), None).unwrap();
        assert!(based.samples(Some(&yes), &yes.trace) && !based.samples(Some(&no), &no.trace));
        let own = Sampler::read(Some("always_off"), None).unwrap();
        assert!(!own.samples(Some(&yes), &yes.trace));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(
            Sampler::read(Some("jaeger_remote"), None).unwrap_err().to_string().contains("jaeger_remote")
        );
        for wrong in ["", "2", "-0.1", "NaN", "inf", "1%"] {
            assert_eq!(Sampler::read(None, Some(wrong)), Err(BadSampler::Ratio(wrong.to_owned())));
        }
    }
}
