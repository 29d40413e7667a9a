//! Shares: no node takes much more than its part of what all apps want, while another one can take it.
//!
//! This is what bounds the loads of the [`ring`](crate::ring): the part of a node grows with its capacity, and
//! what lies above a quarter more goes to the next node on the ring.

use types::Nutrients;

/// The bound, as a fraction: 5/4 of a fair part.
const BOUND: (u128, u128) = (5, 4);
/// A part of fewer replicas than this is too small to be kept to exactly.
const FEW: u128 = 5;

/// Where one more replica would bring a node, the better first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Standing {
    /// It stays within its part, or had nothing at all; or crosses the bound where that doesn't count.
    Within,
    /// It crosses the bound.
    Across,
    /// It has its part or more.
    Above,
}

/// What each node, by its place, was given of what is wanted of all.
pub(crate) struct Shares {
    capacities: Vec<Nutrients>,
    taken: Vec<Nutrients>,
    capacity: [u128; 2],
    wanted: [u128; 2],
}

impl Shares {
    /// Nothing given yet; `wanted` holds what one replica of each app needs, and how many there should be.
    pub(crate) fn new(
        capacities: impl Iterator<Item = Nutrients>,
        wanted: impl Iterator<Item = (Nutrients, u32)>,
    ) -> Self {
        let capacities: Vec<Nutrients> = capacities.collect();
        let all = capacities.iter().map(|capacity| (*capacity, 1));
        Self {
            taken: vec![Nutrients::default(); capacities.len()],
            capacity: sum(all),
            wanted: sum(wanted),
            capacities,
        }
    }

    pub(crate) fn give(&mut self, place: usize, each: Nutrients) {
        let taken = &mut self.taken[place];
        taken.cpu_milli = taken.cpu_milli.saturating_add(each.cpu_milli);
        taken.memory_mb = taken.memory_mb.saturating_add(each.memory_mb);
    }

    /// Undoes a [`Shares::give`].
    pub(crate) fn take(&mut self, place: usize, each: Nutrients) {
        let taken = &mut self.taken[place];
        taken.cpu_milli = taken.cpu_milli.saturating_sub(each.cpu_milli);
        taken.memory_mb = taken.memory_mb.saturating_sub(each.memory_mb);
    }

    /// How a node would stand with one more that needs `each`, by the nutrient of which it has more.
    pub(crate) fn standing(&self, place: usize, each: Nutrients) -> Standing {
        let (taken, capacity, each) = (both(self.taken[place]), both(self.capacities[place]), both(each));
        let of = |of: usize| {
            let part = self.wanted[of].saturating_mul(capacity[of]).saturating_mul(BOUND.0);
            let weighed = |amount: u128| amount.saturating_mul(self.capacity[of]).saturating_mul(BOUND.1);
            // Where a part is one replica or a few, whoever must not cross its bound would mostly find no
            // node at all, and one that leaves would move them all.
            let counts = weighed(each[of]) > part || weighed(each[of]).saturating_mul(FEW) <= part;
            match taken[of] {
                0 => Standing::Within,
                taken if weighed(taken) >= part => Standing::Above,
                taken if counts && weighed(taken + each[of]) > part => Standing::Across,
                _ => Standing::Within,
            }
        };
        of(0).max(of(1))
    }
}

fn sum(all: impl Iterator<Item = (Nutrients, u32)>) -> [u128; 2] {
    all.fold([0, 0], |[cpu, memory], (each, count)| {
        let [more_cpu, more_memory] = both(each).map(|amount| amount * u128::from(count));
        [cpu + more_cpu, memory + more_memory]
    })
}

fn both(amount: Nutrients) -> [u128; 2] {
    [amount.cpu_milli.into(), amount.memory_mb.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn amount(cpu_milli: u64, memory_mb: u64) -> Nutrients {
        Nutrients { cpu_milli, memory_mb }
    }

    fn given_until_above(shares: &mut Shares, place: usize, each: Nutrients) -> usize {
        let mut given = 0;
        while shares.standing(place, each) < Standing::Above {
            shares.give(place, each);
            given += 1;
        }
        given
    }

    #[test]
    fn a_part_grows_with_the_capacity_and_ends_a_quarter_above_fair() {
        let nodes = [amount(1000, 1000), amount(3000, 3000)];
        let mut shares = Shares::new(nodes.into_iter(), [(amount(10, 1), 80)].into_iter());
        assert_eq!(given_until_above(&mut shares, 0, amount(10, 1)), 25);
        assert_eq!(given_until_above(&mut shares, 1, amount(10, 1)), 75);
    }

    #[test]
    fn between_small_apps_a_node_that_has_nothing_comes_first() {
        let nodes = [amount(1000, 1000); 3];
        let each = amount(100, 100);
        let mut shares = Shares::new(nodes.into_iter(), [(each, 2), (amount(200, 100), 1)].into_iter());
        shares.give(0, each);
        assert_eq!(shares.standing(0, amount(200, 100)), Standing::Across);
        assert_eq!(shares.standing(0, each), Standing::Within);
        assert_eq!(shares.standing(1, amount(900, 900)), Standing::Within);
    }

    #[test]
    fn what_needs_nothing_fills_nothing_and_the_largest_amounts_do_not_overflow() {
        let mut shares = Shares::new([amount(0, 0)].into_iter(), [(amount(0, 0), u32::MAX)].into_iter());
        shares.give(0, amount(0, 0));
        assert_eq!(shares.standing(0, amount(0, 0)), Standing::Within);
        let most = amount(u64::MAX, u64::MAX);
        let mut shares = Shares::new([most, most].into_iter(), [(most, u32::MAX)].into_iter());
        shares.give(0, most);
        shares.give(0, most);
        assert_eq!(shares.standing(0, most), Standing::Above, "saturated, as its whole part is");
    }
}
