//! Many workloads at once, and what that costs.

use std::fs::File;
use std::time::{Duration, Instant};

use membrane::{Exit, KeeperEvent, Program};

use crate::support::Nest;

const REPLICAS: usize = 200;

/// Its own memory in kB: what of the program is shared with other keepers comes and goes with these.
fn own(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find(|line| line.starts_with("Anonymous:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_start_and_end_quickly_and_cost_little() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    let idle = own(client.keeper.pid());
    let sleep = File::open("/bin/sleep").unwrap();
    let mut times = Vec::new();
    let begin = Instant::now();
    for number in 0..REPLICAS {
        let program = Program::from(sleep.try_clone().unwrap());
        let spawn = nest.spawn(&format!("replica-{number}"), program, &["1000"]);
        let one = Instant::now();
        client.keeper.spawn(spawn).await.unwrap();
        times.push(one.elapsed());
    }
    let started = begin.elapsed();
    times.sort();
    let full = own(client.keeper.pid());
    let begin = Instant::now();
    for number in 0..REPLICAS {
        client.keeper.stop(&format!("replica-{number}"), Duration::from_secs(60)).await.unwrap();
    }
    for _ in 0..REPLICAS {
        match client.event().await {
            KeeperEvent::Exited { exit, .. } => assert_eq!(exit, Exit::Signal(15)),
            KeeperEvent::Lost => panic!("the keeper is gone"),
        }
    }
    let ended = begin.elapsed();
    println!(
        "{REPLICAS} started in {started:?} (p50 {:?}, p99 {:?}), ended in {ended:?}; keeper {idle} kB, with them {full} kB",
        times[REPLICAS / 2],
        times[REPLICAS * 99 / 100],
    );
    assert!(started < Duration::from_secs(30) && ended < Duration::from_secs(30));
    assert!((full - idle) * 1024 / (REPLICAS as u64) < 16 << 10, "{idle} kB became {full} kB");
    client.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_of_a_large_mesh_has_its_connection() {
    let nest = Nest::new();
    let (first, _) = nest.attach().await;
    let mut others = Vec::new();
    for _ in 0..200 {
        others.push(nest.attach().await.0);
    }
    assert!(others.iter().all(|other| other.keeper.pid() == first.keeper.pid()));
    drop(others);
    first.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_list_comes_in_parts() {
    let nest = Nest::new();
    let (mut client, _) = nest.attach().await;
    for number in 0..40 {
        let mut spawn = nest.shell(&format!("replica-{number}"), "true");
        spawn.note = "n".repeat(60 << 10);
        client.keeper.spawn(spawn).await.unwrap();
    }
    for _ in 0..40 {
        assert!(matches!(client.event().await, KeeperEvent::Exited { .. }));
    }
    let (_again, processes) = nest.attach().await;
    assert_eq!(processes.len(), 40);
    assert!(processes.iter().all(|p| p.exit == Some(Exit::Code(0)) && p.note.len() == 60 << 10));
    client.end().await;
}
