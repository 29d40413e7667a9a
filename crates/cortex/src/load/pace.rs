//! How many requests a second one replica answers in time, learned.

use std::time::Duration;

use super::rate::{Tick, Ticks, float};
use super::{Around, milli};

/// A replica that has just begun gets so long before the answers are judged, and so does a change of the pace.
const GRACE: Duration = Duration::from_secs(1);
/// When half of the answers of so long are slow, and of each part of it, there is no doubt: so many were answered as
/// could be.
const SHORT: Duration = Duration::from_millis(400);
/// Otherwise so many answers are judged, those of so long at most: slow ones come together, by chance as well.
const MANY: u64 = 100;
const LONG: Duration = Duration::from_secs(5);
/// Fewer say nothing, but so many slow ones in a row do.
const FEW: u64 = 10;
const SURE: u64 = 4;
/// What was too much is not tried again for so long; longer each time that it was too much again.
const AVOIDED: Duration = Duration::from_secs(600);
/// What is too much within so long is one time of trouble.
const AT_ONCE: Duration = Duration::from_secs(60);
/// The longest.
const AVOIDED_MOST: Duration = Duration::from_secs(24 * 3600);
/// How much more is tried at a time.
const STEP: f64 = 1.2;
/// What a replica was seen to answer counts half after so many seconds.
const PEAK_HALVES: f64 = 60.0;
/// Replicas that have fewer requests each aren't slow because of these.
const OPEN_EACH: f64 = 0.7;

/// The pace, and the evidence for it.
#[derive(Debug)]
pub(super) struct Pace {
    settle: Duration,
    /// Requests a second, once known.
    known: Option<f64>,
    /// The most that one was seen to answer a second, in time or not.
    peak: (f64, Duration),
    avoid: Option<Avoid>,
    ready: u32,
    /// Answers before this aren't judged.
    from: Duration,
    /// Since when no window had too many slow answers, and none even half as slow.
    good: Option<Duration>,
    calm: Option<Duration>,
}

/// What was too much.
#[derive(Debug, Clone, Copy)]
struct Avoid {
    rate: f64,
    since: Duration,
    /// For so long it isn't tried again.
    span: Duration,
}

/// What a window shows.
struct Window {
    ended: u64,
    started: u64,
    slow: u64,
    late: u64,
    open_mean: f64,
    seconds: f64,
    /// Answers a second, while some were slow or else over all of it.
    rate: f64,
}

impl Around {
    /// What all edges do, where this one does so much: the others said what they do some time ago, and are taken to
    /// have changed as this one has.
    fn whole(&self, own: f64) -> f64 {
        let (said, others) = (float(self.said_milli), float(self.others_milli));
        if said * 10.0 > others { own * (said + others) / said } else { own + others / 1000.0 }
    }
}

impl Pace {
    pub(super) const fn new(settle: Duration) -> Self {
        Self {
            settle,
            known: None,
            peak: (0.0, Duration::ZERO),
            avoid: None,
            ready: 0,
            from: Duration::ZERO,
            good: None,
            calm: None,
        }
    }

    pub(super) fn settle_in(&mut self, settle: Duration) {
        self.settle = settle;
    }

    pub(super) fn adopt(&mut self, pace_milli: u64) {
        self.known = (pace_milli > 0).then(|| float(pace_milli) / 1000.0);
    }

    /// Another release runs: what is known of the one before is where it begins, and all that it was seen to do is nothing.
    pub(super) fn doubt(&mut self) {
        (self.peak, self.avoid, self.good, self.calm) = ((0.0, Duration::ZERO), None, None, None);
    }

    pub(super) fn milli(&self) -> u64 {
        self.known.map_or(0, milli)
    }

    /// How many replicas so many requests a second need, in thousandths. Where none was ever too slow one is enough,
    /// however many edges there are.
    pub(super) fn need(&self, rate: f64, around: &Around) -> u64 {
        let pace = self.known.or_else(|| (around.pace_milli > 0).then(|| float(around.pace_milli) / 1000.0));
        match pace {
            _ if rate <= 0.0 => 0,
            Some(pace) => milli(rate / pace.max(0.001)).max(1),
            None => 1,
        }
    }

    /// Learns from the last answers; whether they were too late, and more replicas would help.
    pub(super) fn judge(&mut self, now: Duration, ticks: &Ticks, around: &Around) -> bool {
        if around.ready != self.ready {
            self.ready = around.ready;
            self.from = now + GRACE;
            (self.good, self.calm) = (None, None);
        }
        if around.pace_milli > 0 {
            // The replicas are the same for all: nobody believes much more of them than who believes least.
            let most = float(around.pace_milli) / 1000.0;
            self.known = Some(self.known.map_or(most, |known| known.min(most * STEP)));
        }
        if around.ready == 0 {
            return false;
        }
        // Where there are many edges each sees few answers; when nearly all of these are slow that is enough.
        let full = ticks.last(now, LONG).take_while(|tick| tick.slow * 2 >= tick.ended);
        let full =
            self.window(full, SURE).filter(|full| full.seconds >= SHORT.as_secs_f64() && full.slow >= SURE);
        let mut some = 0;
        let last = ticks.last(now, LONG).take_while(|tick| {
            some += tick.ended;
            some < MANY + tick.ended || now.saturating_sub(tick.at) < SHORT
        });
        let is_full = full.is_some();
        let Some(mut window) = full.or_else(|| self.window(last, FEW)) else { return false };
        if is_full {
            window.rate = float(window.ended) / window.seconds;
        }
        let total = around.whole(window.rate);
        let replicas = f64::from(around.ready);
        let each = total / replicas;
        let mean = around.whole(ticks.pace(now)) / replicas;
        let own = window.rate / total.max(0.001);
        self.see(each, now);
        if is_full || window.slow >= 5 + window.ended / 50 {
            (self.good, self.calm) = (None, None);
            let open_each = window.open_mean / own.max(0.001) / f64::from(around.ready);
            if now >= self.from && !shrinks(now, ticks) && self.is_load(&window, each, open_each) {
                // Slow answers come when chance brings many requests; but after a step the mean is of another time.
                let each = if !is_full && mean > each * 0.6 { mean } else { each };
                self.cut(&window, each, around, now);
                return true;
            }
        } else if window.slow * 100 <= window.ended.max(100) {
            self.prove(&window, mean, around, now);
        }
        false
    }

    /// What these ticks show, the newest first, as far as they may be judged.
    fn window<'t>(&self, ticks: impl Iterator<Item = &'t Tick>, few: u64) -> Option<Window> {
        let mut window =
            Window { ended: 0, started: 0, slow: 0, late: 0, open_mean: 0.0, seconds: 0.0, rate: 0.0 };
        let (mut answers, mut seconds) = (0, 0.0);
        let begin = self.from.saturating_sub(GRACE / 2);
        for tick in ticks.take_while(|tick| tick.at > begin) {
            window.ended += tick.ended;
            window.started += tick.started;
            window.slow += tick.slow;
            window.late += tick.late;
            window.open_mean += float(tick.open) * tick.span.as_secs_f64();
            window.seconds += tick.span.as_secs_f64();
            if tick.slow > 0 {
                answers += tick.ended;
                seconds += tick.span.as_secs_f64();
            }
        }
        if window.ended < few || window.seconds <= 0.0 {
            return None;
        }
        window.open_mean /= window.seconds;
        let all = (window.ended, window.seconds);
        let (answers, seconds) = if answers > 0 { (answers, seconds) } else { all };
        window.rate = float(answers) / seconds;
        Some(window)
    }

    /// Remembers the most that a replica answers; that of long ago counts less.
    fn see(&mut self, each: f64, now: Duration) {
        let (most, at) = self.peak;
        let aged = most * 0.5_f64.powf(now.saturating_sub(at).as_secs_f64() / PEAK_HALVES);
        self.peak = (aged.max(each), now);
    }

    /// Whether more replicas would help: they have requests to wait for each other, and do about what they can, or
    /// more comes in than they answer.
    fn is_load(&self, window: &Window, each: f64, open_each: f64) -> bool {
        let grows = float(window.started) > 1.1 * float(window.ended) + 3.0;
        open_each >= OPEN_EACH && (grows || each * 2.0 >= self.peak.0)
    }

    fn cut(&mut self, window: &Window, each: f64, around: &Around, now: Duration) {
        let part = if window.slow * 10 >= window.ended { 0.75 } else { 0.9 };
        let all_there = around.ready >= around.wanted;
        let least = match self.known {
            // What was asked for is there, and wasn't enough.
            Some(known) if all_there => (known * 0.9).min(each * part),
            Some(known) => known.min(each * part),
            None => each * part,
        };
        let span = match self.avoid {
            // Not twice for one time of trouble.
            Some(before) if now < before.since + AT_ONCE => before.span,
            Some(before) if now < before.since + before.span + AVOIDED => (before.span * 2).min(AVOIDED_MOST),
            _ => AVOIDED,
        };
        self.avoid = Some(Avoid { rate: each, since: now, span });
        self.known = Some(least.max(0.001));
        self.from = now + GRACE;
    }

    /// In time: what was answered may be the pace; when it was well in time for long, more may be.
    fn prove(&mut self, window: &Window, each: f64, around: &Around, now: Duration) {
        let good = *self.good.get_or_insert(now);
        if window.late * 100 > window.ended.max(100) {
            self.calm = None;
        }
        let calm = *self.calm.get_or_insert(now);
        let Some(known) = self.known else { return };
        let avoid = self.avoid.filter(|avoid| now < avoid.since + avoid.span);
        let most = avoid.map_or(f64::MAX, |avoid| avoid.rate * 0.9).max(known);
        if now.saturating_sub(good) >= LONG && each > known * 1.05 {
            self.known = Some(each.min(most));
            self.good = Some(now);
        } else if now.saturating_sub(calm) >= self.settle && around.ready > around.floor {
            self.calm = Some(now);
            if each >= known * 0.6 {
                self.known = Some((known * STEP).min(most));
            }
        }
    }
}

/// Whether a queue has been getting shorter for a second, by more than chance.
fn shrinks(now: Duration, ticks: &Ticks) -> bool {
    let mut open = ticks.last(now, GRACE + GRACE / 4).map(|tick| float(tick.open));
    let (Some(newest), Some(oldest)) = (open.next(), open.last()) else { return false };
    newest + oldest.sqrt() < oldest
}
