//! Learning: from what replicas of a release use to what one of them needs.
//!
//! The method is that of the Vertical Pod Autoscaler of Kubernetes (its recommender, `pkg/recommender/model`): histograms of
//! buckets that grow by a twentieth, whose weights halve every day; of CPU all samples count, by their time; of memory the
//! peak of each window counts, since it is peaks that kill. Unlike there, a node's histograms never have to be brought to the same
//! time as another's: a node publishes them when they say something else than before, so what it said last holds as it is, and
//! what all nodes know together is their sum, whatever the order.

mod histogram;
mod learner;

pub use histogram::{BUCKETS, Histogram, round_up};
pub use learner::{Learner, Reading, Times};

/// No replica is given less CPU: below, it couldn't even start in time.
pub const LEAST_CPU: u64 = 10;
/// No replica is given less memory, in MiB.
pub const LEAST_MEMORY: u64 = 16;
/// As much evidence as is needed, in thousandths.
pub const ENOUGH: u64 = 1000;
/// What is given beyond what was needed, in thousandths of that.
const MARGIN: u64 = 150;
/// What is given beyond that when there is just enough evidence; half of it when there is twice as much, and so on.
const DOUBT: u64 = 500;
/// After the kernel killed it for lack of memory it gets so much more, in thousandths, as in the Vertical Pod Autoscaler.
const RAISE: u64 = 200;
/// And at least so many MiB more.
const LEAST_RAISE: u64 = 100;
/// So much more evidence is worth saying as long as it isn't enough, in thousandths of what is.
const NEARER: u64 = 150;
/// What changes by less than this is the same, in thousandths.
const SAME: u64 = 100;

/// What is known of what replicas of one release need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Thousandths of a CPU, each weighing the milliseconds in which they were used.
    pub cpu: Histogram,
    /// The peaks of memory in MiB, a thousand a window.
    pub memory: Histogram,
    /// The milliseconds from a start until it was ready, a thousand a start.
    pub ready: Histogram,
    /// How often something was measured.
    pub samples: u64,
    /// For how many seconds, of all replicas together.
    pub observed_s: u64,
    /// How much of the evidence that is needed there is, in thousandths.
    pub enough_permille: u64,
    /// How often the kernel ended one for lack of memory under its own limit.
    pub oom_kills: u64,
}

/// What a replica should get; what nobody measures is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advice {
    /// Thousandths of a CPU.
    pub cpu_milli: Option<u64>,
    /// MiB.
    pub memory_mb: Option<u64>,
    /// There is too little evidence to give it less than it has: it only shows that it needs more.
    pub only_more: bool,
}

impl Needs {
    /// Takes in what another node knows.
    pub fn add(&mut self, other: &Self) {
        self.cpu.add(&other.cpu);
        self.memory.add(&other.memory);
        self.ready.add(&other.ready);
        self.samples = self.samples.saturating_add(other.samples);
        self.observed_s = self.observed_s.saturating_add(other.observed_s);
        self.enough_permille = self.enough_permille.saturating_add(other.enough_permille);
        self.oom_kills = self.oom_kills.saturating_add(other.oom_kills);
    }

    /// What follows from it; nothing while there is too little evidence.
    #[must_use]
    pub fn advice(&self) -> Option<Advice> {
        if self.enough_permille < ENOUGH {
            let memory_mb = self.memory.max().filter(|_| self.oom_kills > 0)?;
            return Some(Advice { cpu_milli: None, memory_mb: Some(memory_mb), only_more: true });
        }
        let more =
            |value: u64, by: u64| round_up(value.saturating_mul(ENOUGH.saturating_add(by)).div_ceil(ENOUGH));
        let cpu_milli = self.cpu.quantile(950).map(|used| more(used, MARGIN).max(LEAST_CPU));
        let doubt = DOUBT * ENOUGH / self.enough_permille;
        let memory_mb = self.memory.quantile(990).map(|peak| {
            let highest = self.memory.max().unwrap_or(peak);
            more(peak, MARGIN + doubt).max(highest).max(LEAST_MEMORY)
        });
        Some(Advice { cpu_milli, memory_mb, only_more: false })
    }

    /// Whether others should hear of it, who know what `said` says.
    #[must_use]
    pub fn differs(&self, said: &Self) -> bool {
        let moved = match (self.advice(), said.advice()) {
            (Some(now), Some(before)) => {
                now.only_more != before.only_more
                    || apart(now.cpu_milli, before.cpu_milli)
                    || apart(now.memory_mb, before.memory_mb)
            }
            (now, before) => now.is_some() != before.is_some(),
        };
        // How far it is, as long as nothing follows.
        let nearer = said.enough_permille < ENOUGH
            && self.enough_permille >= said.enough_permille.saturating_add(NEARER);
        moved || nearer || self.oom_kills != said.oom_kills
    }
}

/// How much memory a replica gets that was ended at a limit of `limit_mb`.
#[must_use]
pub fn raised(limit_mb: u64) -> u64 {
    let by = (limit_mb.saturating_mul(RAISE) / ENOUGH).max(LEAST_RAISE);
    limit_mb.saturating_add(by)
}

/// Whether one is so much more than the other that it counts.
fn apart(one: Option<u64>, other: Option<u64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => {
            one.abs_diff(other).saturating_mul(ENOUGH) > one.max(other).saturating_mul(SAME)
        }
        (one, other) => one.is_some() != other.is_some(),
    }
}

#[cfg(test)]
mod tests;
