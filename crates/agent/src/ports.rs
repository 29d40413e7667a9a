//! TCP ports for replicas, one set for all agents of a machine.
//!
//! A port is taken at random outside the range from which the kernel serves outgoing connections (or any
//! program could hold it by chance, for minutes in TIME_WAIT), tried by binding it, and remembered until its
//! replica is gone. Somebody may still bind it before the replica does; that launch fails and the next one
//! gets another port.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};

/// Where the kernel says which ports it gives to outgoing connections.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Linux's default, for a machine that doesn't say.
const DEFAULT_EPHEMERAL: RangeInclusive<u16> = 32_768..=60_999;
/// Below are the ports that people know by heart.
const LOWEST: u16 = 10_000;
/// So many ports in a row are taken only when something is wrong.
const TRIES: usize = 200;

/// The ports that replicas of this machine hold.
#[derive(Debug)]
pub struct Ports {
    candidates: Vec<u16>,
    /// How many launches hold each: a fixed port passes from one to the next.
    taken: Mutex<BTreeMap<u16, u32>>,
}

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}

impl Ports {
    /// The ports of this machine, none taken.
    #[must_use]
    pub fn new() -> Self {
        let range = std::fs::read_to_string(EPHEMERAL).ok();
        Self::outside(&range.as_deref().and_then(parse_range).unwrap_or(DEFAULT_EPHEMERAL))
    }

    fn outside(ephemeral: &RangeInclusive<u16>) -> Self {
        let candidates = (LOWEST..=u16::MAX).filter(|port| !ephemeral.contains(port)).collect();
        Self { candidates, taken: Mutex::default() }
    }

    /// Takes a free port, `random` deciding which; none if the machine has none to give.
    #[must_use]
    pub fn take(&self, random: &mut dyn FnMut() -> u32) -> Option<u16> {
        for _ in 0..TRIES {
            let Some(port) = self.candidate(random) else { break };
            if self.take_this(port) {
                if is_free(port) {
                    return Some(port);
                }
                self.give_back(port);
            }
        }
        // The kernel was given every port for itself, or ours are exhausted: then it chooses.
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        let port = listener.local_addr().ok()?.port();
        self.take_this(port).then_some(port)
    }

    /// Takes note of a port that a plan fixes, or that an adopted replica holds.
    pub fn keep(&self, port: u16) {
        *self.taken().entry(port).or_default() += 1;
    }

    /// A launch that held `port` is gone.
    pub fn give_back(&self, port: u16) {
        let mut taken = self.taken();
        match taken.get_mut(&port) {
            Some(holders) if *holders > 1 => *holders -= 1,
            _ => drop(taken.remove(&port)),
        }
    }

    /// Whether nobody held it.
    fn take_this(&self, port: u16) -> bool {
        let mut taken = self.taken();
        let free = !taken.contains_key(&port);
        if free {
            taken.insert(port, 1);
        }
        free
    }

    fn candidate(&self, random: &mut dyn FnMut() -> u32) -> Option<u16> {
        let index = usize::try_from(random()).ok()?.checked_rem(self.candidates.len())?;
        self.candidates.get(index).copied()
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, BTreeMap<u16, u32>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody listens there, on whatever address.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
}

fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_whitespace().map(str::parse);
    Some(words.next()?.ok()?..=words.next()?.ok()?)
}

#[cfg(test)]
mod tests;
