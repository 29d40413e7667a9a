//! Nodes that were off for a month.

use std::collections::{BTreeMap, BTreeSet};

use fabric::{Absence, Record};
use types::Digest;

use super::*;
use crate::node::Running;

const DAY_MS: i64 = 24 * 3_600_000;

/// Days go by: all clocks are moved together, and who runs notes it, day by day.
fn days(world: &mut World, days: usize) {
    for _ in 0..days {
        world.nodes.iter_mut().for_each(|node| node.skew += DAY_MS);
        world.run(45 * SECOND).unwrap();
    }
}

/// A mesh that is old enough to have stayed, with the plans of `billing` (1) and `frontend` (2).
fn old(nodes: usize, seed: u64) -> (World, [Record; 2]) {
    let mut world = mesh(nodes, seed, 0.01);
    let plans = [1, 2].map(|app| {
        let plan = records::plan(&at(&world, 0).core, app, 2);
        assert!(world.publish(0, &plan));
        plan
    });
    days(&mut world, 31);
    assert!((0..nodes).all(|node| !at(&world, node).core.is_away()), "they are old enough");
    (world, plans)
}

fn at(world: &World, node: usize) -> &Running {
    world.nodes[node].running.as_ref().unwrap()
}

fn ids(world: &World, node: usize) -> BTreeSet<Digest> {
    at(world, node).core.ids().collect()
}

/// Removes an app's plan, at this node.
fn remove(world: &mut World, node: usize, app: u32) {
    let wall = world.nodes[node].wall(world.now);
    let removal = records::removal(&at(world, node).core, app, wall);
    assert!(world.publish(node, &removal));
}

/// Who has stored a record since it was watched for.
fn watch_for(world: &mut World, record: &Record) {
    world.stored.insert(record.id(), BTreeMap::new());
}

fn forgot(world: &World, node: usize) -> usize {
    let ended = |(of, absence): &(usize, Absence)| match absence {
        Absence::Ended(gone) if *of == node => gone.len(),
        _ => 0,
    };
    world.absences.iter().map(ended).sum()
}

#[test]
fn one_back_after_a_month_forgets_what_was_removed_and_gives_it_to_nobody() {
    for seed in 0..6 {
        let (mut world, [billing, frontend]) = old(3, seed);
        world.crash(2);
        remove(&mut world, 0, 1);
        days(&mut world, 32);
        assert_eq!(ids(&world, 0), [frontend.id()].into(), "the tombstone has ended");
        watch_for(&mut world, &billing);
        // One that knows of no removal, and meets nobody but those that come back.
        world.nodes[1].disk = crate::disk::Disk::default();
        world.crash(1);
        world.start(2, &[]);
        world.start(1, &[2]);
        world.run(60 * SECOND).unwrap();
        for node in 0..3 {
            assert_eq!(ids(&world, node), [frontend.id()].into(), "node {node}, seed {seed}");
            assert!(!at(&world, node).core.is_away(), "node {node}, seed {seed}");
        }
        assert_eq!(forgot(&world, 2), 1);
        // It is for good: neither it nor the one that is new has it from anywhere.
        world.crash(2);
        world.start(2, &[]);
        days(&mut world, 2);
        assert_eq!(ids(&world, 2), [frontend.id()].into());
        let there: BTreeSet<usize> = world.stored[&billing.id()].keys().copied().collect();
        assert!(!there.contains(&0), "{there:?}, seed {seed}");
    }
}

#[test]
fn a_mesh_that_was_off_as_a_whole_forgets_nothing() {
    for seed in 0..6 {
        let (mut world, [billing, frontend]) = old(4, seed);
        // One lacks what was written last, and one has never been there.
        world.crash(3);
        world.nodes[3].disk = crate::disk::Disk::default();
        world.crash(2);
        let last = records::plan(&at(&world, 0).core, 3, 1);
        assert!(world.publish(0, &last));
        world.run(SECOND).unwrap();
        (0..2).for_each(|node| world.crash(node));
        days(&mut world, 40);
        (0..4).for_each(|node| world.start(node, &[0, 1, 2]));
        world.run(120 * SECOND).unwrap();
        let all: BTreeSet<Digest> = [&billing, &frontend, &last].map(Record::id).into();
        for node in 0..4 {
            assert_eq!(ids(&world, node), all, "node {node}, seed {seed}");
            assert!(at(&world, node).core.is_away(), "nobody stayed");
        }
        // It goes on as ever, and has stayed once it has been back for as long.
        remove(&mut world, 1, 1);
        world.crash(3);
        days(&mut world, 32);
        assert!((0..3).all(|node| !at(&world, node).core.is_away()));
        world.start(3, &[]);
        world.run(60 * SECOND).unwrap();
        let left: BTreeSet<Digest> = [&frontend, &last].map(Record::id).into();
        (0..4).for_each(|node| assert_eq!(ids(&world, node), left, "node {node}, seed {seed}"));
        assert_eq!((0..4).map(|node| forgot(&world, node)).sum::<usize>(), 1);
    }
}

#[test]
fn two_of_three_that_come_back_together_go_by_the_one_that_stayed() {
    for seed in 0..6 {
        let (mut world, [_, frontend]) = old(3, seed);
        (1..3).for_each(|node| world.crash(node));
        remove(&mut world, 0, 1);
        let new = records::plan(&at(&world, 0).core, 3, 1);
        assert!(world.publish(0, &new));
        days(&mut world, 32);
        // They meet each other first, and serve from what they know.
        world.crash(0);
        (1..3).for_each(|node| world.start(node, &[1, 2]));
        world.run(60 * SECOND).unwrap();
        assert_eq!((ids(&world, 1).len(), ids(&world, 2).len()), (2, 2));
        world.start(0, &[1]);
        world.run(60 * SECOND).unwrap();
        let left: BTreeSet<Digest> = [&frontend, &new].map(Record::id).into();
        (0..3).for_each(|node| assert_eq!(ids(&world, node), left, "node {node}, seed {seed}"));
        assert_eq!((forgot(&world, 1), forgot(&world, 2)), (1, 1));
    }
}

#[test]
fn one_back_after_29_days_learns_of_the_removal_and_doubts_nothing() {
    let (mut world, [_, frontend]) = old(3, 1);
    let kept = records::plan(&at(&world, 2).core, 3, 1);
    world.links.cut(2, 0);
    world.links.cut(2, 1);
    assert!(world.publish(2, &kept));
    world.crash(2);
    world.links.heal();
    remove(&mut world, 0, 1);
    days(&mut world, 29);
    world.absences.clear();
    world.start(2, &[]);
    world.run(60 * SECOND).unwrap();
    assert_eq!(world.absences, []);
    for node in 0..3 {
        let here = ids(&world, node);
        assert!(here.contains(&kept.id()) && here.contains(&frontend.id()) && here.len() == 3, "{here:?}");
    }
}

/// What is written at a node that is back is not in doubt: everybody gets it.
#[test]
fn what_is_written_at_a_node_that_is_back_holds() {
    let (mut world, [billing, frontend]) = old(3, 2);
    world.crash(2);
    days(&mut world, 32);
    (0..2).for_each(|node| {
        world.links.cut(2, node);
        world.links.cut(node, 2);
    });
    world.start(2, &[]);
    world.run(10 * SECOND).unwrap();
    let (new, next) = (records::plan(&at(&world, 2).core, 3, 1), records::plan(&at(&world, 2).core, 2, 7));
    assert!(world.publish(2, &new) && world.publish(2, &next));
    world.crash(2);
    world.start(2, &[]);
    world.run(10 * SECOND).unwrap();
    world.links.heal();
    world.run(60 * SECOND).unwrap();
    let all: BTreeSet<Digest> = [&billing, &new, &next].map(Record::id).into();
    (0..3).for_each(|node| assert_eq!(ids(&world, node), all, "node {node} of {}", frontend.key()));
    assert_eq!(forgot(&world, 2), 0);
}
