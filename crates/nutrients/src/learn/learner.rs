//! A learner: what one node sees of the replicas of one release.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{ENOUGH, Needs, raised};

/// What one window, or one start, weighs.
const ONE: u64 = 1000;
/// Over a longer time than this between two readings, nobody knows how the CPU was used.
const GAP: Duration = Duration::from_secs(60);
/// There is no use in more evidence, in thousandths of what is enough.
const PLENTY: u64 = 1_000_000;

/// Over which times is learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Of each such time the peak of memory counts.
    pub window: Duration,
    /// So long must replicas have been seen, all together, before anything follows from it.
    pub minimum: Duration,
    /// After so long something counts half.
    pub half_life: Duration,
}

/// What the kernel has counted of one replica; `None` where nobody counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Microseconds of CPU since its start.
    pub cpu_usec: Option<u64>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// The most it ever had: what came and went between two readings shows there.
    pub peak: Option<u64>,
    /// Bytes of it that only hold what is on a disk too, and that it can be without.
    pub cache: Option<u64>,
}

/// What one node knows of one release; `K` is what a start of a replica is called.
#[derive(Debug, Clone)]
pub struct Learner<K> {
    times: Times,
    needs: Needs,
    observed: Duration,
    faded_at: Duration,
    replicas: BTreeMap<K, Seen>,
}

#[derive(Debug, Clone)]
struct Seen {
    at: Duration,
    cpu_usec: Option<u64>,
    peak: Option<u64>,
    /// When the window began, and the most memory in it, in MiB.
    window: (Duration, Option<u64>),
}

impl<K: Ord> Learner<K> {
    /// Goes on from what is known, at the time `at` since any moment.
    pub fn new(times: Times, known: Needs, at: Duration) -> Self {
        let observed = Duration::from_secs(known.observed_s);
        Self { times, needs: known, observed, faded_at: at, replicas: BTreeMap::new() }
    }

    /// Takes note of a reading. Times never go back.
    pub fn note(&mut self, replica: K, at: Duration, reading: &Reading) {
        self.fade(at);
        let memory = reading.memory(self.replicas.get(&replica).and_then(|seen| seen.peak));
        let Reading { cpu_usec, peak, .. } = *reading;
        let now = Seen { at, cpu_usec, peak, window: (at, memory) };
        let Some(seen) = self.replicas.get_mut(&replica) else {
            self.replicas.insert(replica, now);
            return;
        };
        let passed = at.saturating_sub(seen.at);
        if passed.is_zero() {
            return;
        }
        if passed <= GAP {
            let weight = millis(passed).max(1);
            if let (Some(before), Some(after)) = (seen.cpu_usec, cpu_usec) {
                self.needs.cpu.note(after.saturating_sub(before) / weight, weight);
            }
            self.observed += passed;
            self.needs.samples = self.needs.samples.saturating_add(1);
        }
        (seen.at, seen.cpu_usec, seen.peak) = (at, cpu_usec, peak);
        seen.window.1 = seen.window.1.max(memory);
        if at.saturating_sub(seen.window.0) >= self.times.window {
            if let Some(peak) = seen.window.1 {
                self.needs.memory.note(peak, ONE);
            }
            seen.window = (at, memory);
        }
    }

    /// A replica was ready so long after its start.
    pub fn ready(&mut self, took: Duration) {
        self.needs.ready.note(millis(took), ONE);
    }

    /// A replica was ended for lack of memory, under this limit of its own.
    pub fn out_of_memory(&mut self, limit_mb: u64) {
        self.needs.oom_kills = self.needs.oom_kills.saturating_add(1);
        self.needs.memory.note(raised(limit_mb), ONE);
    }

    /// Replicas that aren't there any more close their windows.
    pub fn retain(&mut self, there: impl Fn(&K) -> bool) {
        let memory = &mut self.needs.memory;
        self.replicas.retain(|replica, seen| {
            let stays = there(replica);
            if !stays && let Some(peak) = seen.window.1 {
                memory.note(peak, ONE);
            }
            stays
        });
    }

    /// What is known by now, the windows that are open included.
    #[must_use]
    pub fn needs(&self) -> Needs {
        let mut needs = self.needs.clone();
        for peak in self.replicas.values().filter_map(|seen| seen.window.1) {
            needs.memory.note(peak, ONE);
        }
        needs.observed_s = self.observed.as_secs();
        let enough = self.observed.as_millis() * u128::from(ENOUGH) / self.times.minimum.as_millis().max(1);
        needs.enough_permille = u64::try_from(enough).unwrap_or(PLENTY).min(PLENTY);
        needs
    }

    fn fade(&mut self, at: Duration) {
        let part = (self.times.half_life / 16).max(Duration::from_millis(1));
        // After that many nothing is left of anything.
        let parts = (at.saturating_sub(self.faded_at).as_millis() / part.as_millis()).min(2048);
        for _ in 0..parts {
            self.needs.cpu.fade();
            self.needs.memory.fade();
            self.needs.ready.fade();
        }
        if parts > 0 {
            self.faded_at += part.saturating_mul(parts as u32).min(at.saturating_sub(self.faded_at));
        }
    }
}

impl Reading {
    /// The MiB that it can't be without, of the most since a reading in which the peak was `peak`.
    fn memory(&self, peak: Option<u64>) -> Option<u64> {
        let now = self.memory?;
        let most = self.peak.filter(|most| Some(*most) > peak).unwrap_or(now).max(now);
        Some(most.saturating_sub(self.cache.unwrap_or(0)).div_ceil(1 << 20))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
