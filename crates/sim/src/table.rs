//! Table: figures beside the bars that a mesh of that size is to stay under.

use std::fmt;
use std::time::Duration;

use crate::measure::Figures;

/// Bars for meshes of about 50, 1,000 and 10,000 nodes.
type Bars<T> = [T; 3];

/// One line of the table.
struct Line {
    what: &'static str,
    figure: String,
    bar: String,
    met: bool,
}

/// Of some times, that which so many percent don't exceed.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Figures {
    fn bar<T: Copy>(&self, bars: Bars<T>) -> T {
        match self.nodes {
            ..=200 => bars[0],
            201..=2_500 => bars[1],
            _ => bars[2],
        }
    }

    fn times(&self, what: &'static str, times: &[Duration], bars: Bars<Duration>) -> Line {
        let (half, most, bar) = (percentile(times, 50), percentile(times, 99), self.bar(bars));
        let figure = format!("p50 {half:.1?}, p99 {most:.1?} of {}", times.len());
        Line { what, figure, bar: format!("p99 {bar:.1?}"), met: most <= bar && !times.is_empty() }
    }

    /// What was measured, line by line.
    fn lines(&self) -> Vec<Line> {
        let seconds = |bars: Bars<u64>| bars.map(Duration::from_secs);
        let (healed, rate) = (self.bar(seconds([35, 40, 60])), self.bar([2_000.0, 5_000.0, 8_000.0]));
        let longest = percentile(&self.bereft, 100);
        let mut lines = vec![
            self.times("plan published -> on the last node", &self.published, [ms(50), ms(100), ms(250)]),
            self.times("  just after a tenth of the nodes died", &self.bereft, seconds([1, 1, 1])),
            Line {
                what: "  left out longest",
                figure: format!("{longest:.1?}"),
                bar: "30s".into(),
                met: longest <= Duration::from_secs(30),
            },
            self.times("node killed -> dead everywhere", &self.killed, seconds([4, 7, 9])),
            self.times("node joins -> knows everything", &self.joined, seconds([1, 2, 5])),
            Line {
                what: "50/50 cut healed -> equal everywhere",
                figure: format!("{:.1?}, {} kB a node", self.healed, self.healed_bytes / 1000),
                bar: format!("{healed:.0?}, 1000 kB"),
                met: self.healed <= healed && self.healed_bytes <= 1_000_000,
            },
            Line {
                what: "idle traffic a node",
                figure: format!("{:.0} B/s", self.idle),
                bar: format!("{rate:.0} B/s"),
                met: self.idle <= rate,
            },
            Line {
                what: "false deaths at 1 % loss",
                figure: format!("{} in {:.0?}", self.false_deaths, self.watched),
                bar: "none in 86400s".into(),
                met: self.false_deaths == 0 && self.watched >= Duration::from_secs(86_400),
            },
        ];
        let (with, without) = self.accused;
        if self.starved > Duration::ZERO {
            lines.push(Line {
                what: "false deaths, a tenth starved of CPU",
                figure: format!("{with}; {without} without the guard, in {:.0?}", self.starved),
                bar: "50 times fewer".into(),
                met: without > 0 && with * 50 <= without,
            });
        }
        lines
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} nodes; all start at once and know all after {:.1?}", self.nodes, self.founded)?;
        for Line { what, figure, bar, met } in self.lines() {
            let met = if met { "met" } else { "missed" };
            writeln!(f, "{what:40} {figure:40} {bar:16} {met}")?;
        }
        Ok(())
    }
}
