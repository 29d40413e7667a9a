//! Which piece is asked of whom next: a plain function of what is here, what is asked, and the time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::pieces::Pieces;
use super::wire::Have;

/// Among how many of the first missing pieces one is drawn. A draw makes fetchers hold different pieces, so that they
/// can serve each other; few to draw from keeps the pieces nearly in order, so that the whole is hashed as they come.
const WINDOW: usize = 32;
/// From how many holders one piece is asked at once, when nothing else is left to ask for.
const MOST_ASKED: usize = 3;
/// What is added to twice a holder's usual time before it is given what another is slow with.
const SLACK: Duration = Duration::from_millis(50);

/// One conversation with one holder.
pub type SessionId = u64;

/// What is left to do.
#[derive(Debug)]
pub struct Board {
    here: Pieces,
    asked: BTreeMap<u32, Vec<Asked>>,
    dice: u64,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    session: SessionId,
    since: Instant,
}

/// What a session does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask for this piece.
    Ask(u32),
    /// Everything that this holder has is asked of others; look again at this time, or when something changes.
    Wait(Instant),
    /// This holder has nothing that is missing.
    Nothing,
}

impl Board {
    /// What is left when these pieces are here. The seed decides what is drawn.
    pub fn new(here: Pieces, seed: u64) -> Self {
        Self { here, asked: BTreeMap::new(), dice: seed | 1 }
    }

    /// Whether everything is here.
    pub fn is_done(&self) -> bool {
        self.here.is_full()
    }

    /// The next piece for a session whose holder has `have` and usually takes `usual` for one.
    pub fn next(&mut self, session: SessionId, have: &Have, usual: Duration, now: Instant) -> Next {
        let free = |index: &u32| have.has(*index) && !self.asked.contains_key(index);
        let window: Vec<u32> = self.here.missing().filter(free).take(WINDOW).collect();
        let index = if window.is_empty() {
            match self.tail(session, have, usual, now) {
                Next::Ask(index) => index,
                other => return other,
            }
        } else {
            window[self.roll(window.len())]
        };
        self.asked.entry(index).or_default().push(Asked { session, since: now });
        Next::Ask(index)
    }

    /// What others were asked for: whoever is idle takes over what a slower one is late with.
    fn tail(&self, session: SessionId, have: &Have, usual: Duration, now: Instant) -> Next {
        let mut soonest: Option<(Instant, u32)> = None;
        for (&index, asked) in &self.asked {
            let mine = asked.iter().any(|one| one.session == session);
            let latest = asked.iter().map(|one| one.since).max();
            let Some(latest) = latest.filter(|_| have.has(index) && !mine && asked.len() < MOST_ASKED) else {
                continue;
            };
            let due = latest + usual * 2 + SLACK;
            if soonest.is_none_or(|(before, _)| due < before) {
                soonest = Some((due, index));
            }
        }
        match soonest {
            Some((due, index)) if due <= now => Next::Ask(index),
            Some((due, _)) => Next::Wait(due),
            None => Next::Nothing,
        }
    }

    /// A piece is here and is what it should be. Says whether it wasn't before.
    pub fn here(&mut self, index: u32) -> bool {
        self.asked.remove(&index);
        let new = !self.here.has(index);
        self.here.insert(index);
        new
    }

    /// A session won't bring a piece.
    pub fn without(&mut self, session: SessionId, index: u32) {
        if let Some(asked) = self.asked.get_mut(&index) {
            asked.retain(|one| one.session != session);
            if asked.is_empty() {
                self.asked.remove(&index);
            }
        }
    }

    /// A number below `below`, which is not 0 (xorshift64, Marsaglia 2003).
    fn roll(&mut self, below: usize) -> usize {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        usize::try_from(self.dice % below as u64).expect("less than a usize")
    }
}
