//! The production state machines under the simulator.

use sim::Chaos;

#[test]
fn the_same_seed_gives_the_same_trace() {
    let run = Chaos { nodes: 6, seed: 3 };
    let first = run.run().map_err(|failure| failure.to_string());
    assert_eq!(first, run.run().map_err(|failure| failure.to_string()));
    let other = Chaos { nodes: 6, seed: 4 }.run().map_err(|failure| failure.to_string());
    assert_ne!(first.unwrap().trace, other.unwrap().trace);
}

#[test]
fn invariants_hold_under_chaos() {
    for seed in 0..40 {
        if let Err(failure) = (Chaos { nodes: 5 + (seed % 4) as usize, seed }).run() {
            panic!("{failure}");
        }
    }
}
