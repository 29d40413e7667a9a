//! Who is asked next, of all who may have a spore: a plain function of how it went with each, and the time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use types::PublicKey;

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The holder serves others; it may be asked again soon.
    Busy,
    /// It has nothing more that is missing, now.
    Nothing,
    /// It has the spore under another outline than the one that is followed.
    Other,
    /// What is followed has changed: begin again at once.
    Again,
    /// It could not be reached, or broke off.
    Failed(String),
    /// It doesn't have it.
    Without,
}

/// How it went with one of them.
#[derive(Debug, Default)]
struct Standing {
    busy_with_us: bool,
    /// Its place among those who may have it: the lower, the likelier.
    rank: usize,
    /// Whether it had it, or some of it, when it was asked last.
    holds: bool,
    retry: Option<Instant>,
    /// How often in a row it brought nothing.
    vain: u32,
    turn: u64,
    said: String,
    /// Whether it has the spore under another outline than the one that is followed.
    other: bool,
}

/// All who may have it.
#[derive(Debug)]
pub struct Crowd {
    standing: BTreeMap<PublicKey, Standing>,
    turn: u64,
    dice: u64,
}

/// How many of those who may have a spore are looked at: of more, the likeliest half of these, the rest by a draw.
const MOST: usize = 1_024;
/// How many of those who come one after the other count as equally likely.
const ALIKE: usize = 16;

impl Crowd {
    /// Nobody yet. The seed decides who is asked first, so that not every node asks the same.
    pub fn new(seed: u64) -> Self {
        Self { standing: BTreeMap::new(), turn: 0, dice: seed }
    }

    /// These may have it now, the likelier first; the rest is forgotten, except who is being talked to.
    pub fn listed(&mut self, mut candidates: Vec<PublicKey>) {
        if candidates.len() > MOST {
            candidates[MOST / 2..].sort_by_key(|peer| self.draw(peer));
            candidates.truncate(MOST);
        }
        let listed: BTreeSet<_> = candidates.iter().copied().collect();
        self.standing.retain(|peer, standing| standing.busy_with_us || listed.contains(peer));
        for (at, peer) in candidates.into_iter().enumerate() {
            self.standing.entry(peer).or_default().rank = at / ALIKE;
        }
    }

    /// The next to be asked, who counts as being talked to from now on. Of those whose time has come: first who had it
    /// when asked, then who was asked the longest ago or never, then who is the likeliest.
    pub fn next(&mut self, banned: impl Fn(&PublicKey) -> bool, now: Instant) -> Option<PublicKey> {
        let due = self.standing.iter().filter(|(peer, one)| {
            !one.busy_with_us && one.retry.is_none_or(|retry| retry <= now) && !banned(peer)
        });
        let peer = *due.min_by_key(|(peer, one)| (!one.holds, one.turn, one.rank, self.draw(peer)))?.0;
        self.turn += 1;
        let turn = self.turn;
        let standing = self.standing.entry(peer).or_default();
        (standing.busy_with_us, standing.turn) = (true, turn);
        Some(peer)
    }

    /// When the next one's time comes.
    pub fn wake(&self, banned: impl Fn(&PublicKey) -> bool) -> Option<Instant> {
        let waiting = self.standing.iter().filter(|(peer, one)| !one.busy_with_us && !banned(peer));
        waiting.filter_map(|(_, one)| one.retry).min()
    }

    /// A conversation ended, after `brought` pieces.
    pub fn ended(&mut self, peer: PublicKey, ended: &Ended, brought: u32, now: Instant) {
        let jitter = self.draw(&peer) ^ self.turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let Some(standing) = self.standing.get_mut(&peer) else { return };
        standing.busy_with_us = false;
        standing.vain = if brought > 0 { 0 } else { standing.vain.saturating_add(1) };
        let (first, most) = match ended {
            Ended::Again => (0, 0),
            Ended::Busy | Ended::Nothing => (50, 1_000),
            Ended::Without | Ended::Other => (100, 2_000),
            Ended::Failed(_) => (300, 10_000),
        };
        let wait = (first << standing.vain.min(10)).min(most);
        // between half of it and all of it, so that those who were turned away together don't come back together
        let wait = wait / 2 + if wait > 1 { jitter % (wait / 2) } else { 0 };
        standing.retry = Some(now + Duration::from_millis(wait));
        standing.other = *ended == Ended::Other;
        standing.holds = match ended {
            Ended::Busy | Ended::Nothing | Ended::Other => true,
            Ended::Again => standing.holds,
            Ended::Failed(_) => brought > 0,
            Ended::Without => false,
        };
        standing.said = match ended {
            Ended::Failed(why) => why.clone(),
            Ended::Busy => "busy".to_owned(),
            Ended::Nothing => "it has none of the missing pieces".to_owned(),
            Ended::Other => "it has another list of pieces".to_owned(),
            Ended::Without => "it does not have it".to_owned(),
            Ended::Again => return,
        };
    }

    /// No outline is followed any more: who has another is asked at once.
    pub fn turned(&mut self) {
        for standing in self.standing.values_mut().filter(|one| one.other) {
            standing.retry = None;
        }
    }

    /// What some of them said last, for people.
    pub fn said(&self) -> String {
        if self.standing.is_empty() {
            return "nobody is known to have it".to_owned();
        }
        let spoken = self.standing.iter().filter(|(_, one)| !one.said.is_empty());
        let some: Vec<_> = spoken.take(3).map(|(peer, one)| format!("{peer}: {}", one.said)).collect();
        if some.is_empty() { "nobody has answered".to_owned() } else { some.join("; ") }
    }

    /// A place in an order that differs from node to node (splitmix64, Steele et al. 2014, over the key).
    fn draw(&self, peer: &PublicKey) -> u64 {
        let key = peer.as_bytes().first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let mut mixed = (key ^ self.dice).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
