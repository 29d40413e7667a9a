//! How many requests come, and will in a moment.

use std::collections::VecDeque;
use std::time::Duration;

use super::Counts;

/// So far back is remembered.
const PAST: Duration = Duration::from_secs(8);
/// Over so long the rate is taken; over less when it has risen beyond chance, the least that shows it last.
const BASE: Duration = Duration::from_secs(5);
const SHORTER: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(1), Duration::from_millis(500)];
/// So far ahead a trend is followed: until what is asked for now serves.
const AHEAD: f64 = 2.0;

/// What was counted between two looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick {
    pub at: Duration,
    pub span: Duration,
    pub started: u64,
    pub ended: u64,
    pub slow: u64,
    pub late: u64,
    pub open: u64,
}

/// The last ticks, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Ticks(VecDeque<Tick>);

impl Ticks {
    pub(super) fn add(&mut self, at: Duration, span: Duration, before: &Counts, now: &Counts) {
        // An edge that was started anew counts from 0.
        let new = |of: fn(&Counts) -> u64| of(now).checked_sub(of(before)).unwrap_or_else(|| of(now));
        self.0.push_back(Tick {
            at,
            span,
            started: new(|c| c.started),
            ended: new(|c| c.ended),
            slow: new(|c| c.slow),
            late: new(|c| c.late),
            open: now.open,
        });
        while self.0.front().is_some_and(|tick| tick.at + PAST < at) {
            self.0.pop_front();
        }
    }

    /// Those of the last `span`, the newest first.
    pub(super) fn last(&self, now: Duration, span: Duration) -> impl Iterator<Item = &Tick> {
        self.0.iter().rev().take_while(move |tick| tick.at + span > now)
    }

    /// Which part of the rate may be chance: four times its error, since it is asked for thousands of times an hour.
    pub(super) fn chance(&self, now: Duration) -> f64 {
        let (rate, seconds) = self.over(now, BASE);
        4.0 / (rate * seconds).max(1.0).sqrt()
    }

    /// Whether anything came lately.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|tick| tick.started > 0 || tick.open > 0)
    }

    /// Answers a second lately.
    pub(super) fn pace(&self, now: Duration) -> f64 {
        let (ended, seconds) = self
            .last(now, BASE)
            .fold((0, 0.0), |(ended, seconds), tick| (ended + tick.ended, seconds + tick.span.as_secs_f64()));
        if seconds > 0.0 { float(ended) / seconds } else { 0.0 }
    }

    /// How many were answered lately, and how many of them too late.
    pub(super) fn answered(&self, now: Duration) -> (u64, u64) {
        self.last(now, BASE).fold((0, 0), |(ended, slow), tick| (ended + tick.ended, slow + tick.slow))
    }

    /// Requests a second to plan for.
    pub(super) fn rate(&self, now: Duration) -> f64 {
        let base = self.over(now, BASE);
        if let Some(ahead) = self.trend(now) {
            return ahead.max(base.0);
        }
        let (fast, seconds) = self.over(now, SHORTER[SHORTER.len() - 1]);
        let beyond_chance = |rate: f64| {
            let expected = rate * seconds;
            fast * seconds > expected + 4.0 * expected.sqrt() + 4.0
        };
        let rates = SHORTER.iter().map(|span| self.over(now, *span).0);
        std::iter::once(base.0).chain(rates).find(|rate| !beyond_chance(*rate)).unwrap_or(fast)
    }

    /// Requests a second over `span`, and how many seconds of it there were.
    fn over(&self, now: Duration, span: Duration) -> (f64, f64) {
        let (count, seconds) = self
            .last(now, span)
            .fold((0, Duration::ZERO), |(count, seconds), tick| (count + tick.started, seconds + tick.span));
        let seconds = seconds.as_secs_f64();
        if seconds > 0.0 { (float(count) / seconds, seconds) } else { (0.0, 0.0) }
    }

    /// The rate in a moment, if it rises steadily: a line through the last seconds that is steeper than chance, and
    /// from which they differ by no more. A step is no trend: it is over.
    fn trend(&self, now: Duration) -> Option<f64> {
        let parts: usize = 8;
        let seconds: Vec<f64> = (0..parts).map(|part| self.second(now, part)).collect::<Option<_>>()?;
        let n = float(parts as u64);
        let mean = seconds.iter().sum::<f64>() / n;
        // The newest is the first: half a second back.
        let x = |part: usize| -(float(part as u64) + 0.5) + n / 2.0;
        let squares: f64 = (0..parts).map(|part| x(part) * x(part)).sum();
        let slope = seconds.iter().enumerate().map(|(part, y)| x(part) * (y - mean)).sum::<f64>() / squares;
        let error = (mean.max(1.0) / squares).sqrt();
        let rest: f64 =
            seconds.iter().enumerate().map(|(part, y)| (y - mean - slope * x(part)).powi(2)).sum();
        let steady = rest / (n - 2.0) <= 3.0 * mean.max(1.0);
        (slope > 5.5 * error && steady).then_some(mean + slope * (n / 2.0 + AHEAD))
    }

    /// Requests in the second that began so many and one seconds ago; nothing where it wasn't watched.
    fn second(&self, now: Duration, back: usize) -> Option<f64> {
        let end = now.checked_sub(Duration::from_secs(back as u64))?;
        let begin = end.checked_sub(Duration::from_secs(1))?;
        let within = self.0.iter().filter(|tick| tick.at > begin && tick.at <= end);
        let (count, seconds) = within.fold((0, 0.0), |(count, seconds), tick| {
            (count + tick.started, seconds + tick.span.as_secs_f64())
        });
        (seconds > 0.5).then(|| float(count) / seconds)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}
