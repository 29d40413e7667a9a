//! Sizing: a replica that runs gets what its app's replicas are to have by now, as it runs.

use std::collections::BTreeMap;

use membrane::{Limits, Usage};
use types::Nutrients;

use super::Shell;
use super::launching::sized;
use crate::core::{Launch, LaunchId};
use crate::sample::Samples;

/// Memory is taken from a replica as far as it has so much left over what it uses, in hundredths of that.
const SPARE: u64 = 110;

/// What each replica was last sized as.
pub(super) type Sizes = BTreeMap<LaunchId, Nutrients>;

impl Shell {
    /// How much a replica is to have by now; nothing for one that leaves.
    pub(super) fn size_of(&self, launch: &Launch) -> Option<Nutrients> {
        let assignments = &self.world.as_ref()?.assignments;
        let is_its = |wanted: &&cortex::Assignment| {
            wanted.app == launch.app && wanted.slot == launch.slot && wanted.revision == launch.revision
        };
        assignments.iter().find(is_its).map(|wanted| wanted.each)
    }

    /// Gives every replica its size, and takes that down as what it is held to.
    pub(super) fn size(&mut self, samples: &mut Samples, sizes: Sizes) {
        for sample in &mut samples.replicas {
            let Some(each) = sizes.get(&sample.launch) else { continue };
            let before = self.sizes.get(&sample.launch).copied();
            if let Some(limits) = next(&sample.limits, before, *each, &sample.usage) {
                self.hold_to(&sample.launch, limits);
                sample.limits = limits;
            }
        }
        self.sizes = sizes;
    }
}

/// The limits of a replica that is to have `each` and was last sized as `before`, where they aren't what it has. Its share of the
/// CPU is written once for each size: whoever lets it have more for a while goes on from there.
fn next(now: &Limits, before: Option<Nutrients>, each: Nutrients, usage: &Usage) -> Option<Limits> {
    let wanted = sized(*now, each);
    let used = usage.memory.unwrap_or(0).saturating_sub(usage.memory_cache.unwrap_or(0));
    let least = u64::try_from(u128::from(used) * u128::from(SPARE) / 100).unwrap_or(u64::MAX);
    let is_less = wanted.memory != 0 && (now.memory == 0 || wanted.memory < now.memory);
    let next = Limits {
        cpu_milli: if before == Some(each) { now.cpu_milli } else { wanted.cpu_milli },
        memory: if is_less && wanted.memory < least { now.memory } else { wanted.memory },
        ..wanted
    };
    (next != *now).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn limits(each: Nutrients) -> Limits {
        sized(Limits::default(), each)
    }

    fn each(cpu_milli: u64, memory_mb: u64) -> Nutrients {
        Nutrients { cpu_milli, memory_mb }
    }

    #[test]
    fn what_is_held_to_its_size_is_left_alone_and_a_weight_is_written_once() {
        let now = Limits { pids: 7, ..limits(each(100, 64)) };
        let idle = Usage::default();
        assert_eq!(next(&now, None, each(100, 64), &idle), None);
        let other = next(&now, Some(each(100, 64)), each(200, 64), &idle).unwrap();
        assert_eq!((other.cpu_milli, other.memory, other.pids), (200, 64 * MIB, 7));
        let lent = Limits { cpu_milli: 900, ..other };
        assert_eq!(next(&lent, Some(each(200, 64)), each(200, 64), &idle), None);
    }

    #[test]
    fn memory_that_is_in_use_is_not_taken_away() {
        let now = limits(each(100, 256));
        let using = |memory: u64, cache: u64| Usage {
            memory: Some(memory * MIB),
            memory_cache: Some(cache * MIB),
            ..Usage::default()
        };
        assert_eq!(next(&now, Some(each(100, 64)), each(100, 64), &using(60, 0)), None);
        let lower = Some(limits(each(100, 64)));
        assert_eq!(next(&now, Some(each(100, 64)), each(100, 64), &using(58, 0)), lower);
        assert_eq!(next(&now, None, each(100, 64), &using(200, 160)), lower, "files can be read again");
        let more = Some(limits(each(100, 512)));
        assert_eq!(next(&now, None, each(100, 512), &using(255, 0)), more);
        let unlimited = limits(each(100, 0));
        assert_eq!(next(&unlimited, Some(each(100, 64)), each(100, 64), &using(60, 0)), None);
        assert_eq!(next(&unlimited, None, each(100, 64), &using(10, 0)), lower);
    }
}
