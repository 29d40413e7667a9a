//! Load: what a node asks for of one app, worked out of what its edge counts. A state machine without a clock.
//!
//! ```text
//!   requests at the edge ─▶ rate, its trend ─┐
//!                                            ├─▶ need = rate / pace ─▶ raised at once, lowered after a while ─▶ Demand
//!   answers in time, or not ─▶ pace ─────────┘
//! ```
//! *Pace* is how many requests a second one replica answers in time. Nobody states it: when more than 1 % take longer
//! than the plan allows, what a replica answered meanwhile was too much, and the pace is a part of that. Rates are
//! counted, not requests that are open: a queue that has built up makes these grow without end, while what comes in
//! stays what it is. By Little's law the pace stands for so many open requests a replica.
//!
//! What keeps it from swinging: a replica gets a second to take its share before it is judged; nothing is lowered
//! while a queue is getting shorter; the pace rises by what was seen to be answered in time, or in small steps and never
//! to where it was too much before; and latency that isn't the replicas' doing, since they have hardly a request
//! each, or do less than half of what they could, asks for none.

mod pace;
mod rate;
mod smooth;

use std::time::Duration;

use genome::{Demand, Scale};

use pace::Pace;
use rate::Ticks;
use smooth::Smooth;

/// Of ticks that follow closer than this the first counts.
const CLOSE: Duration = Duration::from_millis(100);
/// A change of need below this is none, in thousandths of a replica.
const BAND_MILLI: u64 = 100;
/// No figure is larger, in thousandths.
const MOST_MILLI: u64 = 1_000_000_000_000;
/// And one by less than this part of it.
const MARGIN: f64 = 0.1;

/// What an edge has counted of an app since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that came.
    pub started: u64,
    /// Requests that were answered.
    pub ended: u64,
    /// Of them in more than the plan's budget.
    pub slow: u64,
    /// Of them in more than half of it.
    pub late: u64,
    /// Requests that are open now, those that wait for a replica included.
    pub open: u64,
    /// The time in which 99 of 100 were answered lately, in milliseconds.
    pub p99_ms: u64,
}

/// What else is known of the app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Around {
    /// Replicas that take requests.
    pub ready: u32,
    /// Replicas that there should be.
    pub wanted: u32,
    /// Replicas that there are without any demand, and at least 1.
    pub floor: u32,
    /// Requests a second at other edges, in thousandths, as they say.
    pub others_milli: u64,
    /// Requests a second here, in thousandths, as was said last; [`Load`] knows it.
    pub said_milli: u64,
    /// The lowest pace that other edges say, in thousandths; 0 if none does.
    pub pace_milli: u64,
    /// What the metric of the replicas here asks for, in thousandths of a replica, where it could be read.
    pub metric_milli: Option<u64>,
    /// A replica runs on a node of this process: so this one says when nobody needs it.
    pub hosts: bool,
}

/// What is to be published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `genome::Demand`")]
pub struct Figure {
    pub need_milli: u64,
    pub metric_milli: Option<u64>,
    pub rate_milli: u64,
    pub pace_milli: u64,
    pub in_flight: u64,
    pub p99_ms: u64,
    pub slow_permille: u32,
}

/// What is known of one app at one node.
#[derive(Debug)]
pub struct Load {
    sleeps: bool,
    measured: bool,
    idle: Duration,
    last: Counts,
    looked: Option<Duration>,
    active: Duration,
    ticks: Ticks,
    pace: Pace,
    need: Smooth,
    metric: Smooth,
    /// Nobody was told of the present release yet.
    silent: bool,
    said: Option<Figure>,
}

impl Load {
    /// Nothing is known yet; `sleeps` as in [`genome::Plan::sleeps`].
    #[must_use]
    pub fn new(scale: &Scale, sleeps: bool, now: Duration) -> Self {
        Self {
            sleeps,
            measured: scale.p99_budget_ms.is_some(),
            idle: scale.idle(),
            last: Counts::default(),
            looked: None,
            active: now,
            ticks: Ticks::default(),
            pace: Pace::new(scale.settle()),
            need: Smooth::new(scale.settle(), BAND_MILLI),
            metric: Smooth::new(scale.settle(), BAND_MILLI),
            silent: true,
            said: None,
        }
    }

    /// Goes on from what this node said before it was started anew.
    pub fn adopt(&mut self, said: &Demand, current: bool, now: Duration) {
        self.need.adopt(said.need_milli, now);
        self.metric.adopt(said.metric_milli.unwrap_or(0), now);
        self.pace.adopt(said.pace_milli);
        self.silent = !current;
        self.said = Some(Figure {
            need_milli: said.need_milli,
            metric_milli: said.metric_milli,
            rate_milli: said.rate_milli,
            pace_milli: said.pace_milli,
            in_flight: said.in_flight,
            p99_ms: said.p99_ms,
            slow_permille: said.slow_permille,
        });
    }

    /// The plan has changed: another release, or other terms.
    pub fn revise(&mut self, scale: &Scale, sleeps: bool, is_new_release: bool, now: Duration) {
        self.sleeps = sleeps;
        self.measured = scale.p99_budget_ms.is_some();
        self.idle = scale.idle();
        self.need.settle_in(scale.settle());
        self.metric.settle_in(scale.settle());
        self.pace.settle_in(scale.settle());
        if is_new_release {
            self.pace.doubt();
            self.active = now;
            self.silent = true;
        }
    }

    /// What was said last.
    #[must_use]
    pub const fn said(&self) -> Option<&Figure> {
        self.said.as_ref()
    }

    /// Requests wait for a replica: what is to be published at once, if that isn't said yet.
    pub fn wake(&mut self, now: Duration) -> Option<Figure> {
        self.active = now;
        if self.need.said() > 0 && !self.silent {
            return None;
        }
        self.need.raise(1, now);
        let figure = Figure { need_milli: self.need.said(), ..self.said.unwrap_or_default() };
        Some(self.say(figure))
    }

    /// Takes note of what was counted up to `now`; returns what is to be published, if that has changed enough.
    pub fn note(&mut self, now: Duration, counts: Counts, around: &Around) -> Option<Figure> {
        let since = now.saturating_sub(*self.looked.get_or_insert(now));
        if counts.started != self.last.started || counts.open > 0 {
            self.active = now;
        }
        if since < CLOSE {
            if since.is_zero() {
                self.last = counts;
            }
            return None;
        }
        self.ticks.add(now, since, &self.last, &counts);
        (self.last, self.looked) = (counts, Some(now));
        let said_milli = self.said.map_or(0, |said| said.rate_milli);
        let sure = self.measured && self.pace.judge(now, &self.ticks, &Around { said_milli, ..*around });
        let chance = if sure { 0.0 } else { self.ticks.chance(now).max(MARGIN) };
        let rate = self.ticks.rate(now);
        let need = self.pace.need(rate, around);
        let mut changed = self.need.note(self.bounded(need, now), chance, now);
        if self.need.said() > 0 && self.sleeps && self.is_idle(now) {
            self.need.adopt(0, now);
            changed = true;
        }
        if !around.hosts && self.said.is_some_and(|said| said.metric_milli.is_some()) {
            // Nobody here has anything to say any more.
            self.metric.adopt(0, now);
            changed = true;
        }
        if let Some(metric) = around.metric_milli {
            changed |= self.metric.note(metric.min(MOST_MILLI), MARGIN, now);
        }
        // Of a release that hasn't come up nobody says that it isn't needed: it is still tried.
        let shown = around.hosts && around.ready > 0 && self.is_idle(now);
        changed |= self.silent && self.sleeps && (self.need.said() > 0 || shown);
        if !changed {
            return None;
        }
        let (ended, slow) = self.ticks.answered(now);
        let figure = Figure {
            need_milli: self.need.said(),
            metric_milli: around.metric_milli.map(|_| self.metric.said()),
            rate_milli: milli(rate),
            pace_milli: self.pace.milli(),
            in_flight: counts.open.min(MOST_MILLI),
            p99_ms: counts.p99_ms,
            slow_permille: u32::try_from(slow.saturating_mul(1000).checked_div(ended).unwrap_or(0))
                .unwrap_or(1000),
        };
        Some(self.say(figure))
    }

    /// While an app that can sleep is in use, somebody needs it.
    fn bounded(&self, need: u64, now: Duration) -> u64 {
        match (self.sleeps, self.is_idle(now)) {
            (true, true) => 0,
            (true, false) if self.ticks.any() || self.need.said() > 0 => need.max(1),
            _ => need,
        }
    }

    fn is_idle(&self, now: Duration) -> bool {
        now.saturating_sub(self.active) >= self.idle
    }

    fn say(&mut self, figure: Figure) -> Figure {
        self.silent = false;
        self.said = Some(figure);
        figure
    }
}

/// In thousandths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded before")]
fn milli(value: f64) -> u64 {
    (value * 1000.0).clamp(0.0, rate::float(MOST_MILLI)).round() as u64
}

#[cfg(test)]
mod tests;
