//! Figures: what was measured, how far its runs lie apart, and whether it clears its bar.

use std::fmt;

use serde::Serialize;

/// The runs of one figure for one program.
#[derive(Debug, Clone, Serialize)]
pub struct Series {
    /// Whose.
    pub who: String,
    /// One value a run.
    pub runs: Vec<f64>,
}

impl Series {
    /// No runs yet.
    pub fn new(who: &str) -> Self {
        Self { who: who.to_owned(), runs: Vec::new() }
    }

    /// One value that has no runs.
    pub fn single(who: &str, value: f64) -> Self {
        Self { who: who.to_owned(), runs: vec![value] }
    }

    /// The middle run; NaN without any.
    pub fn median(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// What 99 of a hundred runs don't exceed: the longest of fewer; NaN without any.
    pub fn p99(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 99).div_ceil(100);
        rank.checked_sub(1).and_then(|at| sorted.get(at)).copied().unwrap_or(f64::NAN)
    }

    fn range(&self) -> (f64, f64) {
        let min = self.runs.iter().copied().fold(f64::INFINITY, f64::min);
        let max = self.runs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (min, max)
    }
}

impl fmt::Display for Series {
    /// `median (min..max)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&number(self.median()))?;
        if self.runs.len() > 1 {
            let (min, max) = self.range();
            write!(f, " ({}..{})", number(min), number(max))?;
        }
        Ok(())
    }
}

/// Three or four digits that say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        v if v.is_nan() => "none".to_owned(),
        0.0 => "0".to_owned(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What a figure has to reach.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bar {
    /// At most this.
    AtMost(f64),
    /// At most this, in 99 of a hundred: with fewer runs, in each.
    P99AtMost(f64),
    /// At most what the best of those beside it has.
    NoMoreThanBest,
    /// At least what the best of those beside it has.
    NoLessThanBest,
    /// At least this share of what stands beside it.
    ShareOfBest(f64),
    /// At most this share of what stands beside it.
    AtMostShare(f64),
    /// There is none: it is printed for scale.
    None,
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What it is, with its unit.
    pub name: String,
    /// Of the mesh.
    pub ours: Series,
    /// What it is compared with, measured in the same run.
    pub beside: Vec<Series>,
    /// What it has to reach.
    pub bar: Bar,
    /// What has to be known to read it.
    pub note: String,
}

/// Whether a figure clears its bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Met,
    /// Not by the median, but the runs of both overlap.
    WithinNoise,
    /// It doesn't.
    Missed,
    /// No bar.
    Shown,
}

impl Figure {
    /// A figure without notes.
    pub fn new(name: impl Into<String>, ours: Series, beside: Vec<Series>, bar: Bar) -> Self {
        Self { name: name.into(), ours, beside, bar, note: String::new() }
    }

    /// Adds what has to be known to read it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// The median beside ours that is hardest to reach.
    fn best(&self) -> Option<&Series> {
        let sorted = |a: &&Series, b: &&Series| a.median().total_cmp(&b.median());
        match self.bar {
            Bar::NoMoreThanBest | Bar::AtMostShare(_) => self.beside.iter().min_by(sorted),
            _ => self.beside.iter().max_by(sorted),
        }
    }

    /// Ours as a share of the best beside it, when that is what the bar is about.
    pub fn ratio(&self) -> Option<f64> {
        match self.bar {
            Bar::NoMoreThanBest | Bar::NoLessThanBest | Bar::ShareOfBest(_) | Bar::AtMostShare(_) => {
                self.best().map(|best| self.ours.median() / best.median())
            }
            _ => None,
        }
    }

    /// Whether it clears its bar.
    pub fn verdict(&self) -> Verdict {
        let met = |met: bool| if met { Verdict::Met } else { Verdict::Missed };
        let ours = self.ours.median();
        if ours.is_nan() {
            return Verdict::Missed;
        }
        match (self.bar, self.best()) {
            (Bar::None, _) => Verdict::Shown,
            (Bar::AtMost(bar), _) => met(ours <= bar),
            (Bar::P99AtMost(bar), _) => met(self.ours.p99() <= bar),
            (_, None) => Verdict::Shown,
            (Bar::ShareOfBest(share), Some(best)) => met(ours >= share * best.median()),
            (Bar::AtMostShare(share), Some(best)) => met(ours <= share * best.median()),
            (Bar::NoMoreThanBest, Some(best)) if ours <= best.median() => Verdict::Met,
            (Bar::NoLessThanBest, Some(best)) if ours >= best.median() => Verdict::Met,
            (_, Some(best)) => {
                let ((low, high), (other_low, other_high)) = (self.ours.range(), best.range());
                if low <= other_high && other_low <= high { Verdict::WithinNoise } else { Verdict::Missed }
            }
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bar) => write!(f, "at most {bar}"),
            Self::P99AtMost(bar) => write!(f, "p99 at most {bar}"),
            Self::NoMoreThanBest => f.write_str("no more than the better"),
            Self::NoLessThanBest => f.write_str("as many as the better"),
            Self::ShareOfBest(share) => write!(f, "{share} x"),
            Self::AtMostShare(share) => write!(f, "at most {share} x"),
            Self::None => Ok(()),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::WithinNoise => "within noise",
            Self::Missed => "MISSED",
            Self::Shown => "",
        })
    }
}

#[cfg(test)]
mod tests;
