//! The production state machines under the simulator.

use sim::Chaos;

/// How many meshes: some minutes on two cores.
const SEEDS: u64 = 1_000;

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = Chaos { nodes: 6, seed: 3 };
    let first = run.run().map_err(|failure| failure.to_string());
    assert_eq!(first, run.run().map_err(|failure| failure.to_string()));
    let other = Chaos { nodes: 6, seed: 4 }.run().map_err(|failure| failure.to_string());
    assert_ne!(first.unwrap().trace, other.unwrap().trace);
}

/// A thousand meshes of 3 to 7 nodes, each two minutes and more of every fault there is.
#[test]
fn invariants_hold_under_chaos() {
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    let run = |seed: u64| Chaos { nodes: 3 + (seed % 5) as usize, seed }.run().err();
    let part = |first: u64| (first..SEEDS).step_by(threads as usize).find_map(run);
    let broken: Vec<String> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        runs.into_iter().filter_map(|run| run.join().unwrap()).map(|broken| broken.to_string()).collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
