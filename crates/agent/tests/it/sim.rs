//! Thousands of meshes in seconds: the cores of several agents, the real planner, a model of everything else.
//!
//! A seed is a whole story: plans that change, replicas and agents that die, keepers that are lost, spores
//! that are missing, publishers that are not trusted, drains that take too long; then quiet, in which all has
//! to come right. Invariants are checked after every step. One story again, told line by line:
//! `MESH_SIM_SEED=17 cargo test -p agent --test it sim`; another number of them: `MESH_SIM_SEEDS=100000`.

mod chance;
mod check;
mod fabric;
mod faults;
mod mesh;
mod node;

use std::time::Duration;

use mesh::Mesh;

/// How many stories are told when nobody says.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The fingerprint of the story of `seed`, or what went wrong in it.
fn story(seed: u64, told: bool, traced: bool) -> Result<u64, String> {
    let mut mesh = Mesh::new(seed, told, traced);
    mesh.run().map_err(|wrong| {
        format!("seed {seed}: {wrong}\nagain, told: MESH_SIM_SEED={seed} cargo test -p agent --test it sim -- --nocapture")
    })?;
    Ok(mesh.fingerprint())
}

#[test]
fn all_comes_right_whatever_happens() {
    if let Some(seed) = number("MESH_SIM_SEED") {
        story(seed, true, false).unwrap();
        return;
    }
    let seeds = number("MESH_SIM_SEEDS").unwrap_or(SEEDS);
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u64);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let tellers: Vec<_> = (0..threads)
            .map(|first| {
                scope.spawn(move || {
                    (first..seeds).step_by(threads as usize).find_map(|seed| story(seed, false, false).err())
                })
            })
            .collect();
        tellers.into_iter().filter_map(|teller| teller.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_story() {
    for seed in 0..20 {
        assert_eq!(story(seed, false, true), story(seed, false, true));
    }
    assert_ne!(story(1, false, true), story(2, false, true));
}

#[test]
fn where_nothing_goes_wrong_no_launch_is_in_vain() {
    for seed in 0..200 {
        let mut mesh = Mesh::new(seed, number("MESH_SIM_SEED") == Some(seed), false);
        let replicas = mesh.calm();
        mesh.run_until(Duration::from_secs(10)).unwrap();
        mesh.check_end().unwrap();
        assert_eq!(mesh.launches, replicas, "seed {seed}");
    }
}
