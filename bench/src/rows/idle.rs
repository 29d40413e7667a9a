//! What the mesh costs when nothing happens: memory, and the file that is shipped.

use std::fs;

use anyhow::Result;

use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};
use crate::process::pause;

/// A new mesh each time, without apps.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let (mut resident, mut shared) = (Series::new("mesh"), Series::new("mesh"));
    for _ in 0..bench.runs.min(3) {
        bench.progress("idle");
        let mesh = bench.mesh(None)?;
        pause(bench.long());
        let memory = mesh.memory()?;
        resident.runs.push(megabytes(memory.rss * 1024));
        shared.runs.push(megabytes(memory.pss * 1024));
    }
    let size = megabytes(fs::metadata(&bench.mesh)?.len());
    Ok(vec![
        Figure::new(
            "mesh run with 3 agents, idle: resident memory of all its processes, MB",
            resident,
            Vec::new(),
            Bar::AtMost(20.0),
        )
        .note(format!("shared pages counted once (PSS): {shared} MB")),
        Figure::new(
            "the binary as it is shipped, stripped, MB",
            Series::single("mesh", size),
            Vec::new(),
            Bar::AtMost(20.0),
        )
        .note(bench.mesh.display().to_string()),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
