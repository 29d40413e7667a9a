//! A figure that is raised at once, and lowered to what was enough for a while.

use std::collections::VecDeque;
use std::time::Duration;

use super::rate::float;

/// The past is remembered in so many parts.
const PARTS: u32 = 32;

/// The figure that is said, and what it would have been lately.
#[derive(Debug)]
pub(super) struct Smooth {
    settle: Duration,
    /// A smaller change is none.
    band: u64,
    said: u64,
    /// The largest of each part of the past, and when that began.
    past: VecDeque<(Duration, u64)>,
    since: Option<Duration>,
}

impl Smooth {
    pub(super) fn new(settle: Duration, band: u64) -> Self {
        Self { settle, band, said: 0, past: VecDeque::new(), since: None }
    }

    pub(super) const fn said(&self) -> u64 {
        self.said
    }

    pub(super) fn settle_in(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// Says this from now on, whatever was before.
    pub(super) fn adopt(&mut self, said: u64, now: Duration) {
        self.said = said;
        self.past.clear();
        self.since = Some(now);
    }

    /// Says at least this.
    pub(super) fn raise(&mut self, least: u64, now: Duration) {
        self.remember(least, now);
        self.said = self.said.max(least);
    }

    /// Takes note of what is asked for now, a `part` of which may be chance; whether another figure is to be said.
    pub(super) fn note(&mut self, asked: u64, part: f64, now: Duration) -> bool {
        self.remember(asked, now);
        if float(asked) > float(self.said) * (1.0 + part) && asked >= self.said + self.least(part) {
            self.said = asked;
            return true;
        }
        let began = *self.since.get_or_insert(now);
        if now.saturating_sub(began) < self.settle {
            return false;
        }
        let most = self.past.iter().map(|(_, most)| *most).max().unwrap_or(0);
        // Some more than that, or chance alone would raise it again.
        let enough = if most <= self.band { most } else { most + most / 10 };
        let margin = self.band.max(self.said / 10);
        let lower = enough + margin <= self.said;
        if lower {
            self.said = enough;
        }
        lower
    }

    /// Where nothing was asked for, or what is asked for is sure, every change counts.
    fn least(&self, part: f64) -> u64 {
        if self.said == 0 || part <= 0.0 { 1 } else { self.band }
    }

    fn remember(&mut self, asked: u64, now: Duration) {
        self.since.get_or_insert(now);
        while self.past.front().is_some_and(|(began, _)| *began + self.settle + self.part() < now) {
            self.past.pop_front();
        }
        let part = self.part();
        match self.past.back_mut() {
            Some((began, most)) if *began + part > now => *most = asked.max(*most),
            _ => self.past.push_back((now, asked)),
        }
    }

    fn part(&self) -> Duration {
        self.settle / PARTS
    }
}
