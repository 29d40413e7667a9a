//! Size: how much a replica gets: what the manifest says, what the operator says, or what the nodes have learned.
//!
//! What is learned comes from records alone, which change by more than a little or not at all; so every node derives the same,
//! and nothing goes up and down.

use std::fmt;

use genome::{Budget, Fixed, Learned, Need, Plan, Release, Size};
use nutrients::learn::{ENOUGH, Histogram, LEAST_CPU, LEAST_MEMORY, Needs};
use types::{Digest, Nutrients};

/// What is learned gives so many times what the manifest says at most: a leak isn't fed for ever.
const MOST: u64 = 4;

/// How much each replica of a release gets, and by whose word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizing {
    /// What it gets.
    pub each: Nutrients,
    /// Why.
    pub by: SizedBy,
    /// What was learned asks for more, and the budget, or four times the manifest's, doesn't let it have it.
    pub held: bool,
}

/// By whose word a replica has its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizedBy {
    /// The manifest's.
    Manifest,
    /// The operator's.
    Operator,
    /// The manifest's, until enough is learned: there is so much of that, in thousandths.
    Waiting(u64),
    /// It was learned of this release, on so many nodes.
    Learned(u32),
    /// It was learned of the release before, on so many nodes; of this one there isn't enough yet.
    Before(u32),
}

/// What all nodes know together of what replicas of a release need, and how many of them know something.
#[must_use]
pub fn known<'a>(records: impl IntoIterator<Item = &'a Learned>, digest: &Digest) -> (Needs, u32) {
    let (mut all, mut nodes) = (Needs::default(), 0);
    let of_digest = |learned: &'a Learned| learned.needs.iter().find(|need| need.digest == *digest);
    for need in records.into_iter().filter_map(of_digest) {
        all.add(&needs(need));
        nodes += 1;
    }
    (all, nodes)
}

/// What a record says of a release.
#[must_use]
pub fn needs(need: &Need) -> Needs {
    let of = |buckets: &[(u16, u64)]| Histogram::of(buckets.iter().copied());
    Needs {
        cpu: of(&need.cpu_milli),
        memory: of(&need.memory_mb),
        ready: of(&need.ready_ms),
        samples: need.samples,
        observed_s: need.observed_s,
        enough_permille: need.enough_permille,
        oom_kills: need.oom_kills,
    }
}

/// What is known of a release, as a record says it.
#[must_use]
pub fn need(digest: Digest, needs: &Needs) -> Need {
    Need {
        digest,
        cpu_milli: needs.cpu.buckets(Need::MAX_BUCKETS),
        memory_mb: needs.memory.buckets(Need::MAX_BUCKETS),
        ready_ms: needs.ready.buckets(Need::MAX_BUCKETS),
        samples: needs.samples,
        observed_s: needs.observed_s,
        enough_permille: needs.enough_permille,
        oom_kills: needs.oom_kills,
    }
}

/// How much each replica of `release`, which came after `before`, gets under a plan.
#[must_use]
pub fn sizing(
    plan: &Plan,
    release: &Release,
    before: Option<&Release>,
    learned: &[&Learned],
    budget: Option<&Budget>,
) -> Sizing {
    match plan.size {
        None => Sizing { each: release.nutrients, by: SizedBy::Manifest, held: false },
        Some(Size::Fixed(fixed)) => operators(&fixed, release),
        Some(Size::Auto) => auto(plan, release, before, learned, budget),
    }
}

fn operators(fixed: &Fixed, release: &Release) -> Sizing {
    Sizing { each: fixed.over(release.nutrients), by: SizedBy::Operator, held: false }
}

fn auto(
    plan: &Plan,
    release: &Release,
    before: Option<&Release>,
    learned: &[&Learned],
    budget: Option<&Budget>,
) -> Sizing {
    let (own, nodes) = known(learned.iter().copied(), &release.digest);
    if own.advice().is_some() {
        return fit(&own, SizedBy::Learned(nodes), plan, release, budget);
    }
    if let Some(before) = before.filter(|before| before.digest != release.digest) {
        let (needs, nodes) = known(learned.iter().copied(), &before.digest);
        if needs.enough_permille >= ENOUGH {
            return fit(&needs, SizedBy::Before(nodes), plan, release, budget);
        }
    }
    Sizing { each: release.nutrients, by: SizedBy::Waiting(own.enough_permille), held: false }
}

/// What is advised, within what may be given.
fn fit(needs: &Needs, by: SizedBy, plan: &Plan, release: &Release, budget: Option<&Budget>) -> Sizing {
    let advice = needs.advice().unwrap_or_default();
    let manifest = release.nutrients;
    let mut held = false;
    let mut give = |advised: Option<u64>, manifest: u64, cap: Option<u64>, least: u64| {
        let Some(advised) = advised else { return manifest };
        let wanted = if advice.only_more { advised.max(manifest) } else { advised };
        // The plan's fewest replicas still fit into the budget, where they would as the manifest has them.
        let share = cap.map(|cap| (cap / u64::from(plan.min.max(1))).max(manifest).max(1));
        let most = share.unwrap_or(u64::MAX).min(if manifest == 0 {
            u64::MAX
        } else {
            manifest.saturating_mul(MOST)
        });
        held |= wanted > most;
        wanted.max(least).min(most)
    };
    let each = Nutrients {
        cpu_milli: give(advice.cpu_milli, manifest.cpu_milli, budget.map(|b| b.cpu_milli), LEAST_CPU),
        memory_mb: give(advice.memory_mb, manifest.memory_mb, budget.map(|b| b.memory_mb), LEAST_MEMORY),
    };
    Sizing { each, by, held }
}

impl Sizing {
    /// What it gets that isn't learned: by that it holds its place on a node, so that what is learned drives nobody away.
    pub(crate) fn claimed(&self, release: &Release) -> Nutrients {
        match self.by {
            SizedBy::Learned(_) | SizedBy::Before(_) => Nutrients {
                cpu_milli: self.each.cpu_milli.min(release.nutrients.cpu_milli),
                memory_mb: self.each.memory_mb.min(release.nutrients.memory_mb),
            },
            _ => self.each,
        }
    }
}

/// For people.
impl fmt::Display for Sizing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Nutrients { cpu_milli, memory_mb } = self.each;
        write!(f, "{cpu_milli} cpu_milli and {memory_mb} MiB each, ")?;
        let on = |nodes: u32| if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
        match self.by {
            SizedBy::Manifest => f.write_str("as its manifest says")?,
            SizedBy::Operator => f.write_str("as its plan says")?,
            SizedBy::Waiting(permille) => write!(
                f,
                "as its manifest says until its size is learned ({} % of the evidence is there)",
                permille.min(999) / 10
            )?,
            SizedBy::Learned(nodes) => write!(f, "learned on {}", on(nodes))?,
            SizedBy::Before(nodes) => {
                write!(
                    f,
                    "learned of the release before on {}, until there is evidence of its own",
                    on(nodes)
                )?;
            }
        }
        if self.held {
            f.write_str("; it needs more, and its budget, or four times its manifest's size, is the limit")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
