//! Relays: each ends with its room, after what was said in there got through, and no replica lives on without its own.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::detach;
use super::replica::{Key, Order, Replica};
use super::server::Server;
use super::settle::kill_from;
use crate::tree::Tree;

/// How long after its room a relay may live: longer than it gives itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// The relay of a replica.
#[derive(Debug)]
pub(super) struct Relayed {
    pub pid: i32,
    /// When it is killed, once the room has ended.
    until: Option<Instant>,
}

impl Relayed {
    pub const fn new(pid: i32) -> Self {
        Self { pid, until: None }
    }
}

impl Server {
    /// A relay was reaped.
    pub fn relay_ended(&mut self, key: Key) {
        let Some(replica) = self.replicas.get_mut(&key) else { return };
        replica.relay = None;
        self.busy.insert(key);
        if replica.exit.is_none() && !replica.ended && !has_ended(&replica.tree) {
            if matches!(replica.order, Order::Run) {
                // Nobody would reach it, and it nobody.
                detach::say(&format!(
                    "the relay of {} has ended, and the workload is ended with it",
                    replica.id
                ));
                replica.cut = true;
            }
            replica.order = kill_from(Instant::now());
        }
    }
}

impl Replica {
    /// Whether its relay, after the room, has still something to pass on.
    pub fn lingers(&mut self, now: Instant) -> bool {
        let Some(relay) = &mut self.relay else { return false };
        let until = *relay.until.get_or_insert(now + PATIENCE);
        if now < until {
            return true;
        }
        // Not reaped, so the number is its own.
        if let Some(pid) = Pid::from_raw(relay.pid) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
        false
    }

    /// When it has lingered for long enough.
    pub fn lingers_until(&self) -> Option<Instant> {
        self.relay.as_ref().and_then(|relay| relay.until)
    }
}

/// Whether process 1 of the room has ended, though nobody has reaped it yet.
fn has_ended(tree: &Tree) -> bool {
    tree.host().is_none_or(|host| crate::tree::Member::of(host).is_none())
}
