//! A mesh that was cut in two, and on both sides of which something was said, becomes one again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Fifty;
use crate::figures::{Bar, Figure, Series};
use crate::process::pause;

/// The longest that either side may take to give the other up, or both to be one again.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks: each asks all nodes.
const STEP: Duration = Duration::from_millis(250);

pub(super) fn run(fifty: &Fifty<'_>) -> Result<Vec<Figure>> {
    let (mut whole, mut bytes) = (Series::new("mesh"), Series::new("mesh"));
    for number in 0..fifty.bench.runs.min(3) {
        fifty.bench.progress(&format!("{} nodes: cut number {}", fifty.count, number + 1));
        fifty.sites.cut()?;
        until("the sides have given each other up", || is_apart(fifty))?;
        for side in [0, 1] {
            let record = fifty.plan(side, &format!("cut-{number}-{side}"))?;
            fifty.nodes.all[side].submit(&record)?;
        }
        let (sent, since) = (fifty.nodes.sent()?, Instant::now());
        fifty.sites.heal()?;
        until("the sides are one", || fifty.nodes.is_whole(&fifty.all()))?;
        whole.runs.push(since.elapsed().as_secs_f64());
        bytes.runs.push(super::idle::each(fifty, fifty.nodes.sent()? - sent) / 1e6);
    }
    let half = fifty.count / 2;
    Ok(vec![
        Figure::new(
            format!("a cut {half}/{half} heals -> all see all and hold the same, s"),
            whole,
            Vec::new(),
            Bar::AtMost(35.0),
        )
        .note("each side had given the other up, and had got a plan of its own"),
        Figure::new(
            format!("a cut {half}/{half} heals: what a node sends until then, MB"),
            bytes,
            Vec::new(),
            Bar::AtMost(1.0),
        ),
    ])
}

/// Whether each side holds every node of the other for dead.
fn is_apart(fifty: &Fifty<'_>) -> Result<bool> {
    for index in fifty.all() {
        let states = fifty.nodes.all[index].states()?;
        // they live in the two sites in turns
        let mut others = fifty.all().into_iter().filter(|other| other % 2 != index % 2);
        if !others.all(|other| states.get(&fifty.nodes.all[other].name).is_some_and(|state| state == "dead"))
        {
            return Ok(false);
        }
    }
    Ok(true)
}

fn until(what: &str, ready: impl Fn() -> Result<bool>) -> Result<()> {
    let since = Instant::now();
    while !ready()? {
        if since.elapsed() > PATIENCE {
            bail!("it took longer than {PATIENCE:?} until {what}");
        }
        pause(STEP);
    }
    Ok(())
}
