//! Closes connections that nobody uses, and those of strangers who stay too long.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::shared::Shared;
use crate::wire;

/// How rarely it looks, at most.
const RARELY: Duration = Duration::from_secs(5);
/// How often it looks, at most.
const OFTEN: Duration = Duration::from_millis(20);

/// Looks again and again.
pub async fn run(shared: Arc<Shared>) {
    let shorter = shared.limits.idle.min(shared.limits.stranger_time);
    let mut tick = interval((shorter / 4).clamp(OFTEN, RARELY));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while shared.closing.run_until_cancelled(tick.tick()).await.is_some() {
        sweep(&shared);
    }
}

fn sweep(shared: &Arc<Shared>) {
    let links: Vec<_> = shared.table().peers.values().flat_map(|entry| entry.links.clone()).collect();
    for link in links.iter().filter(|link| link.is_open()) {
        if link.unused() >= shared.limits.idle {
            if link.is_usable() {
                shared.spawn(Arc::clone(link).part());
            } else if !link.is_parting() {
                link.close(wire::CODE_DONE, "nobody used it");
            }
        } else if link.stranger.load(Ordering::Relaxed) && link.age() >= shared.limits.stranger_time {
            // whoever has become a member meanwhile stays
            let stranger = shared.is_stranger(&link.peer);
            link.stranger.store(stranger, Ordering::Relaxed);
            if stranger {
                link.close(wire::CODE_REFUSED, "a stranger may not stay longer");
            }
        }
    }
}
