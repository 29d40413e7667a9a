//! Shares: what apps that want all CPUs get of them, against the weights that the ledger gives them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use membrane::Limits;
use nutrients::Want;

use super::neighbour::Street;
use crate::bench::Bench;
use crate::figures::{Bar, Figure, Series};

/// Who wants what: the figure, and of each app its baseline, in thousandths of all CPUs, and whether it pays for more.
const CASES: [(&str, [(u64, bool); 2]); 3] = [
    ("CPU of two apps whose baselines are 1:3, % off their shares", [(100, true), (300, true)]),
    ("the same without credits, % off", [(250, false), (750, false)]),
    ("one that saved beside one that didn't, both of 1/4, % off", [(250, true), (250, false)]),
];
/// More than one a CPU, so that the kernel has something to balance.
const SPINNERS: usize = 2;

/// Each case, for a while.
pub fn run(bench: &Bench) -> Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let mut street = Street::open(bench, "shares").await?;
        let mut figures = Vec::new();
        for (number, (name, apps)) in CASES.into_iter().enumerate() {
            let mut off = Series::new("mesh");
            for run in 0..bench.runs {
                bench.progress("two apps that want all CPUs");
                off.runs.push(contend(bench, &mut street, &format!("{number}-{run}"), apps).await?);
            }
            let figure = Figure::new(name, off, vec![], Bar::AtMost(5.0));
            figures.push(figure.note("of the two apps, the one that is farther from its share"));
        }
        street.close().await?;
        Ok(figures)
    })
}

/// How far an app is from its share at most, in percent of it.
async fn contend(bench: &Bench, street: &mut Street, run: &str, apps: [(u64, bool); 2]) -> Result<f64> {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let capacity = cpus as u64 * 1000;
    let wants = apps.map(|(part, bursts)| Want { milli: capacity * part / 1000, bursts });
    let weights = nutrients::shares(capacity, &wants);
    let spinners = format!("for n in $(seq {}); do (while :; do :; done) & done; wait", SPINNERS * cpus);
    let ids = [format!("one-{run}"), format!("two-{run}")];
    for ((id, want), weight) in ids.iter().zip(&wants).zip(&weights) {
        let limits = Limits { cpu_milli: u32::try_from(want.milli)?, ..Limits::default() };
        street.spawn(id, "/bin/sh", &["-c", &spinners], &[], limits).await?;
        street.keeper.set_limits(id, Limits { cpu_milli: u32::try_from(*weight)?, ..limits }).await?;
    }
    tokio::time::sleep(bench.short()).await;
    let before = used(street).await?;
    tokio::time::sleep(bench.long() + Duration::from_secs(1)).await;
    let after = used(street).await?;
    let got: Vec<f64> = ids.iter().map(|id| (after[id] - before[id]) as f64).collect();
    for id in &ids {
        street.kill(id).await?;
    }
    let (sum, whole) = (got.iter().sum::<f64>(), weights.iter().sum::<u64>() as f64);
    let off = got.iter().zip(&weights).map(|(got, weight)| {
        let due = *weight as f64 / whole;
        (got / sum / due - 1.0).abs() * 100.0
    });
    Ok(off.fold(0.0, f64::max))
}

async fn used(street: &Street) -> Result<BTreeMap<String, u64>> {
    let all = street.keeper.usages("").await?;
    all.into_iter().map(|used| Ok((used.id, used.usage.cpu_usec.context("nobody counts the CPU")?))).collect()
}
