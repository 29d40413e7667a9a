//! From the start of an admitted node's process until it sees every node and holds every record.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Fifty;
use crate::figures::{Bar, Figure, Series};
use crate::process::pause;

/// The longest that a node may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const STEP: Duration = Duration::from_millis(2);

pub(super) fn run(fifty: &mut Fifty<'_>) -> Result<Vec<Figure>> {
    let (mut whole, mut answers) = (Series::new("mesh"), Series::new("mesh"));
    for number in 0..fifty.bench.runs {
        fifty.bench.progress(&format!("{} nodes: newcomer {}", fifty.count, number + 1));
        let newcomer = fifty.nodes.admit()?;
        let since = Instant::now();
        fifty.nodes.all[newcomer].start()?;
        answers.runs.push(since.elapsed().as_secs_f64());
        while !is_complete(fifty, newcomer)? {
            if since.elapsed() > PATIENCE {
                bail!("a newcomer is not complete after {PATIENCE:?}");
            }
            pause(STEP);
        }
        whole.runs.push(since.elapsed().as_secs_f64());
        fifty.nodes.all[newcomer].leave()?;
        fifty.nodes.whole(&fifty.all())?;
    }
    Ok(vec![
        Figure::new(
            format!("a node's process starts -> it sees {} nodes and holds every record, s", fifty.count),
            whole,
            Vec::new(),
            Bar::AtMost(1.0),
        )
        .note(format!("a new node each time; it answered on its socket after {answers} of them")),
    ])
}

/// Whether it sees all nodes, and holds what the first one does.
fn is_complete(fifty: &Fifty<'_>, newcomer: usize) -> Result<bool> {
    let (first, new) = (&fifty.nodes.all[0], &fifty.nodes.all[newcomer]);
    if first.held()?.digest != new.held()?.digest {
        return Ok(false);
    }
    let states = new.states()?;
    Ok(fifty.all().iter().all(|index| states.get(&fifty.nodes.all[*index].name).is_some_and(|s| s == "here")))
}
