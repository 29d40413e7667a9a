//! Meshes in particular straits.

use std::time::Duration;

use fabric::net::Event;
use rand::RngExt as _;

mod absence;
mod credits;
mod demand;

use crate::records;
use crate::{Measure, Weather, World, WorldConfig};

const SECOND: Duration = Duration::from_secs(1);

/// So many nodes that know each other, watched.
fn mesh(nodes: usize, seed: u64, loss: f64) -> World {
    let mut world =
        World::new(WorldConfig { nodes, seed, weather: Weather::lan(loss), watched: true, working: false });
    for node in 0..nodes {
        world.start(node, &[(node + 1) % nodes, 0]);
    }
    world.run(30 * SECOND).unwrap();
    world.check_members(&world.all()).unwrap();
    world.events.clear();
    world
}

/// Who was taken for dead by whom.
fn deaths(world: &World) -> Vec<(usize, usize)> {
    let down = world.events.iter().filter_map(|(_, by, event)| match event {
        Event::Down(peer) => Some((*by, world.number_of(*peer)?)),
        _ => None,
    });
    down.collect()
}

/// Every process but a few runs; those few are stopped for seconds again and again. They find answers unread and
/// suspicions run out, and must not take it out on others.
#[test]
fn starved_nodes_accuse_nobody() {
    let mut world = mesh(20, 5, 0.01);
    for _ in 0..60 {
        for node in [3, 11] {
            let time = Duration::from_millis(world.rng.random_range(300..4000));
            world.pause(node, time);
        }
        world.run(5 * SECOND).unwrap();
    }
    let wrong: Vec<_> = deaths(&world).into_iter().filter(|(_, victim)| ![3, 11].contains(victim)).collect();
    assert_eq!(wrong, []);
    let lags: u64 =
        [3, 11].map(|node| world.nodes[node].running.as_ref().unwrap().net.counters().lags).iter().sum();
    assert!(lags >= 100, "{lags}");
}

#[test]
fn nobody_is_taken_for_dead_in_a_lossy_mesh() {
    for seed in 0..4 {
        let mut world = mesh(12, seed, 0.05);
        world.run(300 * SECOND).unwrap();
        assert_eq!(deaths(&world), []);
    }
}

/// After most of them died at once, the survivors still hear everything, within the time of a reconciliation.
#[test]
fn survivors_of_a_mass_failure_are_not_left_out() {
    for seed in 0..5 {
        let mut world = mesh(30, seed, 0.01);
        for node in 10..30 {
            world.crash(node);
        }
        world.run(SECOND).unwrap();
        let record = records::plan(&world.nodes[0].running.as_ref().unwrap().core, 1, 2);
        assert!(world.publish(0, &record));
        world.run(30 * SECOND).unwrap();
        world.check_records(&world.all()).unwrap();
        world.check_members(&world.all()).unwrap();
        let record = records::plan(&world.nodes[1].running.as_ref().unwrap().core, 1, 3);
        world.stored.insert(record.id(), std::collections::BTreeMap::new());
        world.publish(1, &record);
        world.run(SECOND).unwrap();
        assert_eq!(world.stored[&record.id()].len(), 10, "the tree has grown together again");
    }
}

/// So many records that came new, and that came in vain, at all nodes.
fn came(world: &World) -> (u64, u64) {
    let counters = world.running().map(|(_, running)| running.net.counters());
    counters.fold((0, 0), |(new, known), one| (new + one.records_new, known + one.records_known))
}

/// Publishes a record; who has it a second later.
fn publish(world: &mut World, node: usize, app: u32, replicas: u32) -> usize {
    let record = records::plan(&world.nodes[node].running.as_ref().unwrap().core, app, replicas);
    world.stored.insert(record.id(), std::collections::BTreeMap::new());
    assert!(world.publish(node, &record));
    world.run(SECOND).unwrap();
    world.stored[&record.id()].len()
}

/// In a large mesh each record comes to each node about once; and where nodes of the tree have just died, before
/// anybody knows, the others ask past them at once.
#[test]
fn a_large_mesh_sends_a_record_once_and_asks_past_the_dead() {
    let weather = Weather::lan(0.01);
    let mut world = World::new(WorldConfig { nodes: 120, seed: 3, weather, watched: false, working: false });
    for node in 0..120 {
        world.start(node, &[(node + 1) % 120, 0]);
    }
    world.run(40 * SECOND).unwrap();
    for app in 0..10 {
        assert_eq!(publish(&mut world, 7 * app as usize, app, 1), 120);
    }
    let before = came(&world);
    for app in 10..30 {
        assert_eq!(publish(&mut world, 4 * app as usize, app, 1), 120);
    }
    let (new, twice) = (came(&world).0 - before.0, came(&world).1 - before.1);
    assert_eq!(new, 20 * 119);
    assert!(twice * 10 < new, "{twice} of {new} came twice");

    for round in 0..5 {
        (0..4).for_each(|one| world.crash(100 + 4 * round + one));
        let here = publish(&mut world, round, 1, 2);
        assert_eq!(here, 120 - 4 * (round + 1), "round {round}");
    }
}

/// What the bars say, with fewer nodes than they are for.
#[test]
fn figures_stay_within_their_bars() {
    let figures =
        Measure { nodes: 40, seed: 9, samples: 10, idle: 60 * SECOND, starved: 120 * SECOND }.run().unwrap();
    assert!(figures.published.iter().all(|time| time.as_millis() <= 50), "{figures}");
    assert!(figures.killed.iter().all(|time| *time <= 5 * SECOND), "{figures}");
    assert!(figures.joined.iter().all(|time| *time <= SECOND), "{figures}");
    assert!(figures.healed <= 35 * SECOND && figures.healed_bytes < 1_000_000, "{figures}");
    assert!(figures.idle < 2000.0 && figures.false_deaths == 0, "{figures}");
    assert!(figures.bereft.iter().all(|time| *time <= SECOND), "{figures}");
    let (guarded, unguarded) = figures.accused;
    assert!(unguarded >= 50 && guarded * 50 <= unguarded, "{figures}");
}

/// A cut in one direction only is no death as long as others can ask.
#[test]
fn a_one_way_cut_between_two_is_bridged_by_others() {
    let mut world = mesh(8, 2, 0.0);
    world.links.cut(1, 2);
    world.run(120 * SECOND).unwrap();
    assert_eq!(deaths(&world), []);
}

/// A node that was stopped meets what waits in its sockets before its timer: it must probe again at once, not when it
/// has made up for its stop once a message.
#[test]
fn a_stop_is_forgiven_once() {
    for seed in 0..4 {
        let mut world = mesh(8, seed, 0.0);
        world.pause(2, 20 * SECOND);
        world.run(40 * SECOND).unwrap();
        world.check_members(&world.all()).unwrap();
        (0..8).filter(|node| *node != 2).for_each(|node| world.crash(node));
        world.run(20 * SECOND).unwrap();
        let left = world.nodes[2].running.as_ref().unwrap().net.members().len();
        assert_eq!(left, 0, "seed {seed}: it has noticed every death by itself");
    }
}
