//! Limits: what one peer may send, and one writer write. Token buckets; nothing here grows with what comes in
//! beyond a bound.

use std::collections::BTreeMap;
use std::time::Duration;

use types::PublicKey;

use super::peer::PeerId;

/// Messages of one peer: so many at once, and a second.
const MESSAGES: Rate = Rate { burst: 4096.0, second: 1024.0 };
/// Bytes of one peer: so many at once, and a second. A joining node takes the whole store from one peer.
const BYTES: Rate = Rate { burst: 32e6, second: 8e6 };
/// New records of one writer that are broadcast. What is over comes by reconciliation, later.
const SPREAD: Rate = Rate { burst: 512.0, second: 32.0 };
/// New records of one writer that are taken at all. A joining node takes all of an operator's at once.
const TAKEN: Rate = Rate { burst: 16_384.0, second: 256.0 };
/// Questions of one peer that cost more than they are long: so many at once, and a second.
const WORK: Rate = Rate { burst: 64.0, second: 8.0 };
/// Records that one peer asks for because they were promised: so many at once, and a second. What is over comes by
/// reconciliation, later.
const GRAFTED: Rate = Rate { burst: 512.0, second: 64.0 };
/// Remembered at most: peers and writers, both admitted by the mesh; past it the accounts start anew.
const MAX_REMEMBERED: usize = 32 * 1024;
/// Offences are told so often at most.
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    second: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Bucket {
    fn take(&mut self, rate: Rate, amount: f64, now: Duration) -> bool {
        let gained = now.saturating_sub(self.at).as_secs_f64() * rate.second;
        self.left = (self.left + gained).min(rate.burst);
        self.at = now;
        let enough = self.left >= amount;
        if enough {
            self.left -= amount;
        }
        enough
    }
}

#[derive(Debug, Default)]
pub(super) struct Limits {
    peers: BTreeMap<PeerId, (Bucket, Bucket)>,
    writers: BTreeMap<PublicKey, (Bucket, Bucket)>,
    work: BTreeMap<PeerId, Bucket>,
    grafted: BTreeMap<PeerId, Bucket>,
    told: BTreeMap<PeerId, Duration>,
}

impl Limits {
    /// Whether a message of so many bytes is still within what the peer may send.
    pub(super) fn message(&mut self, peer: PeerId, bytes: usize, now: Duration) -> bool {
        if self.peers.len() >= MAX_REMEMBERED {
            self.peers.clear();
        }
        let full = |rate: Rate| Bucket { left: rate.burst, at: now };
        let (messages, volume) = self.peers.entry(peer).or_insert_with(|| (full(MESSAGES), full(BYTES)));
        #[expect(clippy::cast_precision_loss, reason = "a message is short")]
        let amount = bytes as f64;
        messages.take(MESSAGES, 1.0, now) && volume.take(BYTES, amount, now)
    }

    /// Whether a new record is still within what its writer may have taken.
    pub(super) fn taken(&mut self, writer: PublicKey, now: Duration) -> bool {
        self.writer(writer, now).1.take(TAKEN, 1.0, now)
    }

    /// Whether a new record is still within what its writer may have broadcast.
    pub(super) fn spread(&mut self, writer: PublicKey, now: Duration) -> bool {
        self.writer(writer, now).0.take(SPREAD, 1.0, now)
    }

    fn writer(&mut self, writer: PublicKey, now: Duration) -> &mut (Bucket, Bucket) {
        if self.writers.len() >= MAX_REMEMBERED {
            self.writers.clear();
        }
        let full = |rate: Rate| Bucket { left: rate.burst, at: now };
        self.writers.entry(writer).or_insert_with(|| (full(SPREAD), full(TAKEN)))
    }

    /// Whether the peer may ask us for work once more.
    pub(super) fn work(&mut self, peer: PeerId, now: Duration) -> bool {
        take(&mut self.work, peer, WORK, now)
    }

    /// Whether the peer is sent one more of the records that it was promised.
    pub(super) fn grafted(&mut self, peer: PeerId, now: Duration) -> bool {
        take(&mut self.grafted, peer, GRAFTED, now)
    }

    /// Whether an offence of the peer is to be told, or was just now.
    pub(super) fn tell(&mut self, peer: PeerId, now: Duration) -> bool {
        if self.told.get(&peer).is_some_and(|at| now.saturating_sub(*at) < TELL_EVERY) {
            return false;
        }
        if self.told.len() >= MAX_REMEMBERED {
            self.told.clear();
        }
        self.told.insert(peer, now);
        true
    }

    /// Forgets whoever was quiet for a while: its buckets are full again.
    pub(super) fn sweep(&mut self, now: Duration) {
        let stale = |at: Duration| now.saturating_sub(at) > Duration::from_secs(60);
        self.peers.retain(|_, (messages, _)| !stale(messages.at));
        self.writers.retain(|_, (spread, taken)| !stale(spread.at.max(taken.at)));
        self.work.retain(|_, bucket| !stale(bucket.at));
        self.grafted.retain(|_, bucket| !stale(bucket.at));
        self.told.retain(|_, at| !stale(*at));
    }
}

fn take(buckets: &mut BTreeMap<PeerId, Bucket>, peer: PeerId, rate: Rate, now: Duration) -> bool {
    if buckets.len() >= MAX_REMEMBERED {
        buckets.clear();
    }
    buckets.entry(peer).or_insert(Bucket { left: rate.burst, at: now }).take(rate, 1.0, now)
}
