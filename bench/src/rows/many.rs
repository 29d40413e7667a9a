//! Many replicas on one machine: how soon all are ready, and what the mesh holds in memory for each.

use std::time::Instant;

use anyhow::Result;

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::process::pause;

const REPLICAS: u32 = 200;

/// A new mesh each time.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let (mut ready, mut memory) = (Series::new("mesh"), Series::new("mesh"));
    let mut before = Series::new("idle");
    for _ in 0..bench.runs.min(5) {
        bench.progress("200 replicas");
        let mesh = bench.mesh(None)?;
        let spore = mesh.publish("many", &bench.billing)?;
        let idle = mesh.memory()?.pss;
        let record = mesh.plan("many", &spore, REPLICAS, |_| ())?;
        let since = Instant::now();
        mesh.submit(&record)?;
        mesh.settled("many", u64::from(REPLICAS))?;
        ready.runs.push(since.elapsed().as_secs_f64());
        // what only starting took is given back by then
        pause(bench.long());
        memory.runs.push(each(mesh.memory()?.pss));
        before.runs.push(each(idle));
    }
    let grown = format!("{before} of it was there before the first replica");
    Ok(vec![
        Figure::new(
            "200 replicas on three nodes of one machine, all ready, s",
            ready,
            Vec::new(),
            Bar::AtMost(4.0),
        ),
        Figure::new(
            "memory (PSS) of mesh and keeper for each of 200 replicas, kB",
            memory,
            Vec::new(),
            Bar::AtMost(150.0),
        )
        .note(grown),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "kilobytes")]
fn each(kilobytes: u64) -> f64 {
    kilobytes as f64 / f64::from(REPLICAS)
}
