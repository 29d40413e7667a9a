//! `cargo xtask sim`: simulated meshes, a seed each. A seed that fails is printed with the command that replays it.

use std::time::{Duration, Instant};

use sim::{Chaos, Measure, Planning};

#[derive(clap::Args)]
pub struct Args {
    /// How many seeds to run, from 0 or from --seed on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How many nodes each mesh has
    #[arg(long, default_value_t = 6)]
    nodes: usize,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Measure how long things take instead, beside the bars: so many plans, and up to 20 kills and joins
    #[arg(long, num_args = 0..=1, default_missing_value = "20")]
    measure: Option<usize>,
    /// With --measure: seconds for which the calm mesh is watched
    #[arg(long, default_value_t = 120)]
    idle: u64,
    /// With --measure: seconds for which a mesh is watched of which a tenth is starved of CPU, twice
    #[arg(long, default_value_t = 60)]
    starved: u64,
}

/// Whether everything held.
pub fn run(args: &Args) -> bool {
    if let Some(samples) = args.measure {
        return measure(args, samples);
    }
    let mut failed = 0u64;
    let mut slowest = Duration::ZERO;
    let (mut records, mut last) = (0, None);
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        match (Chaos { nodes: args.nodes, seed }).run() {
            Ok(report) => {
                slowest = slowest.max(report.healed);
                records += report.records;
                last = Some(report.trace);
            }
            Err(failure) => {
                failed += 1;
                println!("{failure}");
            }
        }
    }
    if let (1, Some(trace)) = (args.seeds, last) {
        println!("trace {trace:016x}");
    }
    println!(
        "{} of {} seeds held; {records} records; equal again after {slowest:.1?} at most",
        args.seeds - failed,
        args.seeds
    );
    failed == 0
}

fn measure(args: &Args, samples: usize) -> bool {
    let idle = Duration::from_secs(args.idle);
    let starved = Duration::from_secs(args.starved);
    let planning = Planning::new(args.nodes);
    let start = Instant::now();
    let apps = planning.decide().apps.len();
    let decided = start.elapsed();
    match (Measure { nodes: args.nodes, seed: args.seed, samples, idle, starved }).run() {
        Ok(figures) => println!("{figures}one decision over {apps} new apps on this machine: {decided:.1?}"),
        Err(broken) => {
            println!("\"{}\" doesn't hold: {}", broken.invariant, broken.what);
            return false;
        }
    }
    true
}
