//! What a node costs when nothing happens: traffic, memory, processor.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Fifty;
use crate::figures::{Bar, Figure, Series};
use crate::process::pause;

pub(super) fn run(fifty: &Fifty<'_>) -> Result<Vec<Figure>> {
    let (mut traffic, mut cpu) = (Series::new("mesh"), Series::new("mesh"));
    // What the last row left to be done is done.
    pause(fifty.bench.long() * 4);
    for _ in 0..fifty.bench.runs.min(3) {
        fifty.bench.progress(&format!("{} nodes, idle", fifty.count));
        let (sent, used, since) = (fifty.nodes.sent()?, used(fifty)?, Instant::now());
        pause(fifty.bench.long() * 6);
        let seconds = since.elapsed().as_secs_f64();
        traffic.runs.push(each(fifty, fifty.nodes.sent()? - sent) / 1e3 / seconds);
        cpu.runs.push((self::used(fifty)? - used).as_secs_f64() * 100.0 / seconds / nodes(fifty));
    }
    let (mut resident, mut shared) = (Series::new("mesh"), Series::new("mesh"));
    for index in fifty.all() {
        let memory = fifty.nodes.all[index].memory()?;
        resident.runs.push(megabytes(memory.rss));
        shared.runs.push(megabytes(memory.pss));
    }
    let count = fifty.count;
    Ok(vec![
        Figure::new(
            format!("{count} nodes, idle: what a node sends, kB/s"),
            traffic,
            Vec::new(),
            Bar::AtMost(2.0),
        )
        .note(
            "by the counters of the network namespaces' interfaces, IP headers included; it receives as much",
        ),
        Figure::new(
            format!("{count} nodes, idle: resident memory of a node's processes, MB"),
            resident,
            Vec::new(),
            Bar::AtMost(40.0),
        )
        .note(format!("one run a node; what they share counted once (PSS): {shared} MB")),
        Figure::new(
            format!("{count} nodes, idle: processor of a node, % of a core"),
            cpu,
            Vec::new(),
            Bar::AtMost(0.5),
        )
        .note("the mean of all of them"),
    ])
}

/// Processor time of all nodes so far.
fn used(fifty: &Fifty<'_>) -> Result<Duration> {
    fifty.all().into_iter().map(|index| fifty.nodes.all[index].cpu_time()).sum()
}

#[expect(clippy::cast_precision_loss, reason = "bytes of a bench run")]
pub(super) fn each(fifty: &Fifty<'_>, bytes: u64) -> f64 {
    bytes as f64 / nodes(fifty)
}

#[expect(clippy::cast_precision_loss, reason = "fifty")]
fn nodes(fifty: &Fifty<'_>) -> f64 {
    fifty.count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(kilobytes: u64) -> f64 {
    kilobytes as f64 * 1024.0 / 1e6
}
