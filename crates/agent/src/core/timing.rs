//! How long things may take, and how long a failing replica waits.

use std::time::Duration;

use nutrients::Rules;
use nutrients::learn::Times;

use super::rng::Rng;

/// Of so many replicas what they use is read each time; of more it is read more rarely.
const SAMPLED_AT_ONCE: usize = 32;

/// What replicas needed a day ago counts half.
const HALF_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The periods of a replica's life; tests and the simulation shorten them.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// The record of a launch says first that it has begun, so that the planner counts with it; the next
    /// step it says is `ready`, or after this long where it is. A fast launch costs two signed records, not five.
    pub announce: Duration,
    /// A worker counts as ready when it has run for so long: it has no port to ask, and one that dies at
    /// once must not replace one that works.
    pub settle: Duration,
    /// A replica that was ready for so long, and for its plan's warm-up, has shown that its release comes up
    /// here: when it fails later, that doesn't speak against the release.
    pub prove: Duration,
    /// Between two health checks of a ready replica, give or take a fifth.
    pub probe_every: Duration,
    /// So many failed checks in a row end a replica.
    pub probe_misses: u32,
    /// A replica that was ready for so long starts with a clean record.
    pub stable: Duration,
    /// The wait after the second failure in a row; the first is retried at once.
    pub backoff_min: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// How long until a spore that isn't here is looked for again, should nobody tell that it came.
    pub missing: Duration,
    /// How often what replicas use is read, while there are few; see [`Timing::next_sample`].
    pub sample_every: Duration,
    /// What credits are worth, and how often they are written down.
    pub credits: Rules,
    /// So long must replicas of a release have been seen, all together, before their size follows from it.
    pub learn: Duration,
    /// A process that was told to go and is still there after grace and this is killed again.
    pub insist: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            announce: Duration::from_millis(50),
            settle: Duration::from_millis(500),
            prove: Duration::from_secs(2),
            probe_every: Duration::from_secs(5),
            probe_misses: 3,
            stable: Duration::from_secs(60),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            missing: Duration::from_secs(5),
            sample_every: Duration::from_secs(1),
            credits: Rules::default(),
            learn: Duration::from_secs(30 * 60),
            insist: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// The wait after this many failures in a row.
    pub(super) fn backoff(&self, failures: u32, rng: &mut Rng) -> Duration {
        let Some(doublings) = failures.checked_sub(2) else { return Duration::ZERO };
        let base = self.backoff_min.saturating_mul(1 << doublings.min(16)).min(self.backoff_max);
        around(base, rng).clamp(self.backoff_min, self.backoff_max)
    }

    /// The wait until what so many replicas use is read again. One takes about 30 us of the keeper's time, which ends up
    /// below a thousandth however many they are.
    #[must_use]
    pub fn next_sample(&self, replicas: usize) -> Duration {
        // those that are gone may have left something
        let slots = if replicas == 0 { 10 } else { replicas.div_ceil(SAMPLED_AT_ONCE) };
        self.sample_every.saturating_mul(u32::try_from(slots).unwrap_or(u32::MAX))
    }

    /// Over which times is learned what replicas need.
    pub(crate) fn learning(&self) -> Times {
        Times { window: self.learn / 6, minimum: self.learn, half_life: HALF_LIFE }
    }

    /// The wait until the next health check.
    pub(super) fn next_probe(&self, rng: &mut Rng) -> Duration {
        around(self.probe_every, rng)
    }
}

/// `base`, give or take a fifth, so that what failed together isn't tried again together.
fn around(base: Duration, rng: &mut Rng) -> Duration {
    let percent = 80 + rng.below(41);
    base.saturating_mul(percent) / 100
}
