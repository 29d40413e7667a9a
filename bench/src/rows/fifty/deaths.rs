//! From `kill -9` of a node until the last of the others knows, and until all hold it for dead.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Fifty;
use crate::figures::{Bar, Figure, Series};
use crate::nodes::millis_now;
use crate::process::pause;

/// The longest that a death may take to be known.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const STEP: Duration = Duration::from_millis(100);

pub(super) fn run(fifty: &mut Fifty<'_>) -> Result<Vec<Figure>> {
    let (mut silent, mut dead) = (Series::new("mesh"), Series::new("mesh"));
    for number in 0..fifty.bench.runs {
        fifty.bench.progress(&format!("{} nodes: kill -9 number {}", fifty.count, number + 1));
        // never the first, which is asked
        let victim = 1 + (number * 7) % (fifty.count - 1);
        let name = fifty.nodes.all[victim].name.clone();
        let at = millis_now();
        fifty.nodes.all[victim].kill()?;
        dead.runs.push(last(fifty, victim, at, &format!("node {name} is dead"))?);
        silent.runs.push(last(fifty, victim, at, &format!("node {name} does not answer"))?);
        fifty.nodes.all[victim].start()?;
        fifty.nodes.whole(&fifty.all())?;
    }
    let others = fifty.count - 1;
    Ok(vec![
        Figure::new(
            format!("kill -9 of a node -> the last of {others} knows that it doesn't answer, s"),
            silent,
            Vec::new(),
            Bar::P99AtMost(4.0),
        )
        .note("by the events that the others write"),
        Figure::new(
            format!("kill -9 of a node -> the last of {others} places its work anew, s"),
            dead,
            Vec::new(),
            Bar::P99AtMost(9.0),
        )
        .note("five seconds later, so that one that only stumbled keeps its work"),
    ])
}

/// When the last of the others said this, in seconds after the kill.
fn last(fifty: &Fifty<'_>, victim: usize, killed: f64, what: &str) -> Result<f64> {
    let since = Instant::now();
    let mut last = 0.0_f64;
    for index in fifty.all().into_iter().filter(|index| *index != victim) {
        let node = &fifty.nodes.all[index];
        loop {
            let said = node.said(killed)?.into_iter().find(|said| said.message.starts_with(what));
            if let Some(said) = said {
                last = last.max(said.at - killed);
                break;
            }
            if since.elapsed() > PATIENCE {
                bail!("{} has not said that {what} after {PATIENCE:?}", node.name);
            }
            pause(STEP);
        }
    }
    Ok(last / 1e3)
}
