//! How fast an app uses up its error budget: the share of bad requests over several windows, by what it may be.
//!
//! The windows are those of Google's SRE workbook (chapter 5): a page when both of a pair burn, such as 14.4 times
//! over an hour and over the last 5 minutes.

use std::collections::VecDeque;
use std::time::Duration;

/// What may be bad: one request in a hundred, since budgets are about the 99th percentile.
const ALLOWED: f64 = 0.01;
/// Between two notes, and between two of those that are older than the second of [`WINDOWS`].
const FINE: Duration = Duration::from_secs(30);
const COARSE: Duration = Duration::from_secs(900);

/// Each window with its name.
pub(crate) const WINDOWS: [(&str, Duration); 5] = [
    ("5m", Duration::from_secs(300)),
    ("30m", Duration::from_secs(1_800)),
    ("1h", Duration::from_secs(3_600)),
    ("6h", Duration::from_secs(6 * 3_600)),
    ("3d", Duration::from_secs(3 * 86_400)),
];

/// What was counted at one time.
#[derive(Debug, Clone, Copy)]
struct Note {
    at: Duration,
    all: u64,
    bad: u64,
}

/// The past of one app at this edge, since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Burn {
    notes: VecDeque<Note>,
    last: Option<Note>,
}

impl Burn {
    /// Takes note of so many requests since the start, so many of them bad.
    pub(crate) fn note(&mut self, at: Duration, all: u64, bad: u64) {
        let note = Note { at, all, bad };
        self.last = Some(note);
        if self.notes.back().is_some_and(|last| at < last.at + FINE) {
            return;
        }
        self.notes.push_back(note);
        // What has become old is kept more coarsely: the second of three neighbours goes.
        let old = self.notes.iter().position(|note| note.at + WINDOWS[1].1 >= at).unwrap_or(0);
        if let Some(middle) = old.checked_sub(2)
            && self.notes[middle + 1].at < self.notes[middle.saturating_sub(1)].at + COARSE
            && middle > 0
        {
            self.notes.remove(middle);
        }
        while self.notes.get(1).is_some_and(|second| second.at + WINDOWS[4].1 <= at) {
            self.notes.pop_front();
        }
    }

    /// The rate over each of [`WINDOWS`], or over what there is of it; 0 without requests.
    pub(crate) fn rates(&self) -> [f64; WINDOWS.len()] {
        let Some(last) = self.last else { return Default::default() };
        WINDOWS.map(|(_, window)| {
            let since = self.notes.iter().rev().find(|note| note.at + window <= last.at);
            let (all, bad) = match since.or(self.notes.front()) {
                Some(since) => (last.all.saturating_sub(since.all), last.bad.saturating_sub(since.bad)),
                None => (last.all, last.bad),
            };
            #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 53 bits")]
            if all == 0 { 0.0 } else { bad as f64 / all as f64 / ALLOWED }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_sees_its_own_part_of_the_past_and_little_is_kept() {
        let mut burn = Burn::default();
        assert_eq!(burn.rates(), [0.0; 5]);
        // Three days of one bad request in a hundred, but none in the last ten minutes.
        for second in (0..3 * 86_400 + 3_600_u64).step_by(10) {
            let bad = second.min(3 * 86_400 + 3_000) / 10;
            burn.note(Duration::from_secs(second), second * 10, bad);
        }
        let rates = burn.rates();
        assert_eq!(rates[0], 0.0, "{rates:?}");
        assert!((0.6..0.7).contains(&rates[1]) && (0.8..0.87).contains(&rates[2]), "{rates:?}");
        assert!((0.96..1.0).contains(&rates[3]) && (0.99..1.01).contains(&rates[4]), "{rates:?}");
        assert!(burn.notes.len() < 600, "{}", burn.notes.len());
    }

    #[test]
    fn what_began_a_moment_ago_is_judged_by_that() {
        let mut burn = Burn::default();
        burn.note(Duration::ZERO, 0, 0);
        burn.note(Duration::from_secs(5), 200, 30);
        assert!(burn.rates().iter().all(|rate| (rate - 15.0).abs() < 1e-9), "{:?}", burn.rates());
    }
}
