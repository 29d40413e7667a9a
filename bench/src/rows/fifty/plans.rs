//! From a signed plan at one node to the last of all that has taken note of it, and that has it on disk.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Fifty;
use crate::figures::{Bar, Figure, Series};
use crate::nodes::millis_now;
use crate::process::pause;

/// The longest that a plan may be on its way.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two plans, so that one doesn't meet the other's syncs.
const REST: Duration = Duration::from_millis(500);
/// Between two looks at a node that isn't there yet.
const STEP: Duration = Duration::from_millis(1);

pub(super) fn run(fifty: &Fifty<'_>) -> Result<Vec<Figure>> {
    let (mut applied, mut synced) = (Series::new("mesh"), Series::new("mesh"));
    for number in 0..if fifty.bench.quick { 5 } else { 100 } {
        fifty.bench.progress(&format!("{} nodes: plan {}", fifty.count, number + 1));
        pause(REST);
        let (noted, on_disk) = spread(fifty, &format!("plan-{number}"))?;
        applied.runs.push(noted);
        synced.runs.push(on_disk);
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

/// Both times of one plan, in milliseconds.
fn spread(fifty: &Fifty<'_>, app: &str) -> Result<(f64, f64)> {
    let first = &fifty.nodes.all[0];
    let record = fifty.plan(0, app)?;
    let (at, since) = (millis_now(), Instant::now());
    first.submit(&record)?;
    let wanted = first.held()?.digest;
    for index in fifty.all() {
        until(|| Ok(fifty.nodes.all[index].held()?).map(|held| held.synced && held.digest == wanted))?;
    }
    let on_disk = since.elapsed().as_secs_f64() * 1e3;
    let mut last = 0.0_f64;
    for index in fifty.all() {
        let node = &fifty.nodes.all[index];
        let said = node.said(at)?;
        let noted = said.iter().find(|said| said.kind == "plan-received" && said.app == app);
        let noted = noted.with_context(|| format!("{} took no note of {app}", node.name))?;
        last = last.max(noted.at - at);
    }
    Ok((last, on_disk))
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
