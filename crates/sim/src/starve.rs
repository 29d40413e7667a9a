//! Starve: processes that hardly get the CPU, and whom they accuse (compare Lifeguard, Dadgar et al. 2018).
//!
//! What does harm is not one long stop: whoever is stopped for longer than a suspicion lasts is taken for dead itself,
//! and comes back holding nothing against others. It is the slices of a few milliseconds that a busy machine gives: a
//! question goes out in one, its answer lies unread through the next stop, and a timer is looked at first.

use std::time::Duration;

use fabric::net::Event;
use rand::RngExt as _;

use crate::measure::{Measure, found};
use crate::watch::Broken;
use crate::world::World;

/// A stop between two slices, in milliseconds.
const STOP: std::ops::Range<u64> = 400..1_500;
/// One stop in so many is a long one: four or five a minute.
const LONG: u32 = 10;
const LONG_STOP: std::ops::Range<u64> = 1_000..8_000;
/// What it gets.
const SLICE: std::ops::Range<u64> = 1..5;

/// How often a node that runs is taken for dead while a tenth of the others are starved, with the guard against
/// one's own lag, or without.
pub(crate) fn starve(measure: Measure, guarded: bool) -> Result<usize, Broken> {
    let mut world = measure.world();
    world.planning = false;
    found(&mut world)?;
    world.run(Duration::from_secs(10))?;
    if !guarded {
        let running = world.nodes.iter_mut().filter_map(|node| node.running.as_mut());
        running.for_each(|running| running.net.trust_own_clock());
    }
    world.events.clear();
    let starved = (measure.nodes / 10).max(1);
    let end = world.now + measure.starved;
    let mut next = vec![world.now; starved];
    while world.now < end {
        for (node, at) in next.iter_mut().enumerate() {
            if *at > world.now {
                continue;
            }
            let (stop, slice) = (stop(&mut world), millis(&mut world, SLICE));
            world.pause(node, stop);
            *at = world.now + stop + slice;
        }
        let soon = next.iter().min().copied().unwrap_or(end).min(end);
        world.run(soon - world.now)?;
    }
    let wrong = world.events.iter().filter(|(_, _, event)| match event {
        Event::Down(peer) => world.number_of(*peer).is_some_and(|victim| victim >= starved),
        _ => false,
    });
    Ok(wrong.count())
}

fn stop(world: &mut World) -> Duration {
    let long = world.rng.random_ratio(1, LONG);
    millis(world, if long { LONG_STOP } else { STOP })
}

fn millis(world: &mut World, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(world.rng.random_range(range))
}
