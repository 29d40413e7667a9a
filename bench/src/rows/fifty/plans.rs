//! From a signed plan at one node to the last of all that has taken note of it, and that has it on disk.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Fifty;
use crate::figures::{Bar, Figure, Series};
use crate::nodes::{Node, millis_now};
use crate::process::pause;

/// The longest that a plan may be on its way.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two plans, so that one doesn't meet the other's syncs.
const REST: Duration = Duration::from_millis(500);
/// Between two looks at a node that isn't there yet.
const STEP: Duration = Duration::from_millis(1);

pub(super) fn run(fifty: &Fifty<'_>) -> Result<Vec<Figure>> {
    let (mut applied, mut synced) = (Series::new("mesh"), Series::new("mesh"));
    let rounds = if fifty.bench.quick { 5 } else { 100 };
    for number in 0..rounds {
        applied.runs.push(spread(fifty, &format!("plan-{number}"))?);
        let last = applied.runs.last().copied().unwrap_or_default();
        fifty.bench.progress(&format!("{} nodes: plan {} after {last:.0} ms", fifty.count, number + 1));
    }
    for number in 0..rounds / 4 {
        fifty.bench.progress(&format!("{} nodes: plan {} to disk", fifty.count, number + 1));
        synced.runs.push(settle(fifty, &format!("safe-{number}"))?);
    }
    let count = fifty.count;
    Ok(vec![
        Figure::new(
            format!("plan published -> applied on the last of {count} nodes, ms"),
            applied,
            Vec::new(),
            Bar::P99AtMost(50.0),
        )
        .note("by the event that each agent writes when it has taken note, in whole milliseconds"),
        Figure::new(
            format!("plan published -> on disk on the last of {count} nodes, ms"),
            synced,
            Vec::new(),
            Bar::None,
        )
        .note("asked one node after the other, so at most some milliseconds too long; all sync to one disk here"),
    ])
}

/// Until the last node has taken note of a plan, in milliseconds. Nobody is asked meanwhile: fifty nodes share the cores
/// with who asks.
fn spread(fifty: &Fifty<'_>, app: &str) -> Result<f64> {
    let record = fifty.plan(0, app)?;
    pause(REST);
    let at = millis_now();
    fifty.nodes.all[0].submit(&record)?;
    pause(REST);
    let mut last = 0.0_f64;
    for index in fifty.all() {
        last = last.max(noted(&fifty.nodes.all[index], app, at)? - at);
    }
    Ok(last)
}

/// When a node took note of a plan.
fn noted(node: &Node, app: &str, since: f64) -> Result<f64> {
    let start = Instant::now();
    loop {
        let said = node.said(since)?;
        if let Some(noted) = said.iter().find(|said| said.kind == "plan-received" && said.app == app) {
            return Ok(noted.at);
        }
        if start.elapsed() > PATIENCE {
            bail!("{} took no note of {app} within {PATIENCE:?}", node.name);
        }
        pause(STEP);
    }
}

/// Until the last node has a plan on disk, in milliseconds.
fn settle(fifty: &Fifty<'_>, app: &str) -> Result<f64> {
    let first = &fifty.nodes.all[0];
    let record = fifty.plan(0, app)?;
    pause(REST);
    let since = Instant::now();
    first.submit(&record)?;
    let wanted = first.held()?.digest;
    for index in fifty.all() {
        until(|| Ok(fifty.nodes.all[index].held()?).map(|held| held.synced && held.digest == wanted))?;
    }
    Ok(since.elapsed().as_secs_f64() * 1e3)
}

fn until(ready: impl Fn() -> Result<bool>) -> Result<()> {
    let since = Instant::now();
    while !ready()? {
        if since.elapsed() > PATIENCE {
            bail!("a plan is still on its way after {PATIENCE:?}");
        }
        thread::yield_now();
        pause(STEP);
    }
    Ok(())
}
