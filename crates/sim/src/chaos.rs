//! Chaos: a mesh under every fault there is, from a seed; then the faults end, and it must become whole.

use std::fmt;
use std::time::Duration;

use fabric::net::{Class, Input};
use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

use genome::Plan;
use rand::seq::IndexedRandom as _;
use types::{Digest, Workload};

use crate::keeper::Nature;
use crate::links::Weather;
use crate::records;
use crate::watch::Broken;
use crate::world::{World, WorldConfig};

/// So long things go wrong, twice.
const TROUBLE: Duration = Duration::from_secs(30);
/// Within this after the last fault, all must be equal, and run as it should.
const BOUND: Duration = Duration::from_secs(75);
/// And so long after, nothing may change any more.
const CALM: Duration = Duration::from_secs(10);
/// Apps that are written about.
const APPS: u32 = 6;

/// One run.
#[derive(Debug, Clone, Copy)]
pub struct Chaos {
    /// How many nodes.
    pub nodes: usize,
    /// From which everything derives.
    pub seed: u64,
}

/// A run in which an invariant didn't hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Which run.
    pub run: Chaos,
    /// When, since its beginning.
    pub at: Duration,
    /// What.
    pub broken: Broken,
}

/// What a run in which all held came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// Everything that happened, as one number.
    pub trace: u64,
    /// How long after the last fault all were equal.
    pub healed: Duration,
    /// Records that were acknowledged.
    pub records: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run: Chaos { nodes, seed }, at, broken: Broken { invariant, what } } = self;
        write!(
            f,
            "seed {seed}, {nodes} nodes, after {at:.1?}: \"{invariant}\" doesn't hold: {what}\n\
             replay: cargo xtask sim --nodes {nodes} --seed {seed}"
        )
    }
}

impl Chaos {
    /// Runs it.
    pub fn run(self) -> Result<Report, Box<Failure>> {
        let mut world = World::new(WorldConfig {
            nodes: self.nodes,
            seed: self.seed,
            weather: Weather { doubled: 0.02, ..Weather::lan(0.01) },
            watched: true,
            working: true,
        });
        let mut written = 0;
        match run(&mut world, &mut written) {
            Ok(healed) => Ok(Report { trace: world.trace(), healed, records: written }),
            Err(broken) => Err(Box::new(Failure { run: self, at: world.now, broken })),
        }
    }
}

fn run(world: &mut World, written: &mut usize) -> Result<Duration, Broken> {
    for node in 0..world.nodes.len() {
        world.nodes[node].capacity = *[300, 1_000, 10_000].choose(&mut world.rng).unwrap_or(&10_000);
        start(world, node);
        let wait = Duration::from_millis(world.rng.random_range(0..300));
        world.run(wait)?;
    }
    trouble(world, written)?;
    cut(world)?;
    trouble(world, written)?;
    heal(world)
}

fn trouble(world: &mut World, written: &mut usize) -> Result<(), Broken> {
    let end = world.now + TROUBLE;
    while world.now < end {
        let wait = Duration::from_millis(world.rng.random_range(50..1500));
        world.run(wait)?;
        match world.rng.random_range(0..10) {
            0..4 => *written += usize::from(write(world)),
            4 => forge(world),
            5..7 => links(world),
            _ => processes(world),
        }
    }
    Ok(())
}

/// An operator writes something.
fn write(world: &mut World) -> bool {
    let Some(node) = any(world, true) else { return false };
    let (app, what) = (world.rng.random_range(0..APPS), world.rng.random_range(0..8));
    let wall = world.nodes[node].wall(world.now);
    let plan = plan(world, app);
    let most = world.rng.random_range(0..6);
    let Some(running) = &world.nodes[node].running else { return false };
    let record = match what {
        0 => records::removal(&running.core, app, wall),
        1 | 2 => records::budget(&running.core, app, most),
        _ => records::next_plan(&running.core, app, plan),
    };
    world.publish(node, &record)
}

/// Some plan: most releases work.
fn plan(world: &mut World, app: u32) -> Plan {
    let nature = match world.rng.random_range(0..10) {
        0 => Nature::Crashes,
        1 => Nature::Fragile,
        2 => Nature::Slow(world.rng.random_range(0..5_500)),
        _ => Nature::Good,
    };
    // the same release comes again now and then
    let digest = Digest::of(format!("{nature:?} {}", world.rng.random_range(0..4)).as_bytes());
    world.natures.insert(digest, nature);
    let mut release = records::release(digest);
    match world.rng.random_range(0..8) {
        0 => release.port = 8_080,
        1 => release.workload = Workload::Worker,
        _ => {}
    }
    let mut plan = Plan::new(records::app(app), release, world.rng.random_range(1..6));
    plan.warmup_ms = world.rng.random_range(0..3_000);
    plan.grace_ms = world.rng.random_range(0..5_000);
    plan.rollout.max_failed = world.rng.random_range(0..3);
    plan
}

/// A member sends what doesn't hold, or doesn't read.
fn forge(world: &mut World) {
    let (Some(from), Some(to)) = (any(world, true), any(world, true)) else { return };
    let app = world.rng.random_range(0..APPS);
    let Some(running) = &world.nodes[from].running else { return };
    let other = (from + 1) % world.nodes.len();
    let in_anothers_name =
        records::endpoint(&running.core, other, from, app, world.nodes[from].wall(world.now)).encode();
    let forged = records::forged(&running.core, app).into_iter().chain([in_anothers_name]);
    // and what held once
    let old = world.watch.any(&mut world.rng);
    for record in forged.chain(old) {
        // the envelope's form: version, kind 8, session 0, not the last, length, record
        let length = u32::try_from(record.len()).unwrap_or_default().to_be_bytes();
        let batch = [&[1, 8, 0, 0, 0, 0, 0], length.as_slice(), &record].concat();
        world.inject(from, to, Class::Reliable, batch);
    }
    let kind = world.rng.random_range(0..12);
    let noise: Vec<u8> = (0..world.rng.random_range(0..200)).map(|_| world.rng.random()).collect();
    world.inject(from, to, Class::Datagram, [&[1, kind], noise.as_slice()].concat());
}

fn links(world: &mut World) {
    let count = world.nodes.len();
    match world.rng.random_range(0..7) {
        0 => {
            let parts = (0..count).map(|_| world.rng.random_range(0..2)).collect();
            world.links.split(parts);
        }
        1 => {
            let (from, to) = (world.rng.random_range(0..count), world.rng.random_range(0..count));
            world.links.cut(from, to);
        }
        2 | 3 => world.links.heal(),
        4 => {
            let slowest = Duration::from_millis(world.rng.random_range(5..300));
            world.links.weather.delay = (slowest / 5, slowest);
        }
        _ => world.links.weather.loss = world.rng.random_range(0.0..0.3),
    }
}

fn processes(world: &mut World) {
    let chance = world.rng.random_range(0..12);
    match chance {
        0 | 1 => {
            if let Some(node) = any(world, true) {
                world.crash(node);
            }
        }
        2 => {
            if let Some(node) = any(world, true) {
                world.kill(node);
            }
        }
        3..7 => {
            if let Some(node) = any(world, false) {
                start(world, node);
            }
        }
        7 | 8 => {
            if let Some(node) = any(world, true) {
                let time = Duration::from_millis(world.rng.random_range(100..20_000));
                world.pause(node, time);
            }
        }
        9 => {
            if let Some(node) = any(world, true) {
                let hours = world.rng.random_range(-11..11);
                world.nodes[node].skew = hours * 3_600_000;
            }
        }
        10 => {
            if let Some(node) = any(world, true) {
                world.input(node, Input::Leave);
                world.crash(node);
            }
        }
        _ => {
            if let Some(node) = any(world, true) {
                let port = world.rng.random_range(1024..60_000);
                world.input(node, Input::Addresses(vec![([10, 1, 1, 1], port).into()]));
            }
        }
    }
}

/// A node that runs and isn't stopped, or one that doesn't run.
fn any(world: &mut World, running: bool) -> Option<usize> {
    let fits = |node: &&crate::node::Node| node.running.is_some() == running && !node.paused;
    world.nodes.iter().filter(fits).map(|node| node.number).choose(&mut world.rng)
}

/// Starts a node, which knows two others: the next one, so that all together know of all, and any one.
fn start(world: &mut World, node: usize) {
    let count = world.nodes.len();
    let any = world.rng.random_range(0..count);
    world.start(node, &[(node + 1) % count, any]);
}

/// Faults other than a cut end.
fn calm(world: &mut World) {
    world.links.weather = Weather::lan(0.01);
    let paused: Vec<usize> = world.nodes.iter().filter(|node| node.paused).map(|node| node.number).collect();
    for node in paused {
        world.pause(node, Duration::ZERO);
    }
}

/// The mesh is cut in two for a while, and both parts must come to do what they can.
fn cut(world: &mut World) -> Result<(), Broken> {
    calm(world);
    let sides: Vec<u8> = (0..world.nodes.len()).map(|_| world.rng.random_range(0..2)).collect();
    world.links.heal();
    world.links.split(sides.clone());
    settle(world, |world| {
        for side in 0..2 {
            let part: Vec<usize> = world.all().into_iter().filter(|node| sides[*node] == side).collect();
            whole(world, &part)?;
        }
        Ok(())
    })?;
    world.links.heal();
    Ok(())
}

/// The faults end. How long until all is well; then it must stay so.
fn heal(world: &mut World) -> Result<Duration, Broken> {
    world.links.heal();
    calm(world);
    for node in 0..world.nodes.len() {
        if world.nodes[node].running.is_none() {
            world.nodes[node].paused = false;
            start(world, node);
        }
    }
    settle(world, |world| whole(world, &world.all()))
}

/// Whether a part of the mesh knows itself, holds the same and runs what it should.
fn whole(world: &World, part: &[usize]) -> Result<(), Broken> {
    world.check_members(part)?;
    world.check_records(part)?;
    world.check_work(part)
}

/// How long until a check holds; then it must hold on.
fn settle(world: &mut World, check: impl Fn(&World) -> Result<(), Broken>) -> Result<Duration, Broken> {
    let start = world.now;
    loop {
        while let Err(broken) = check(world) {
            if world.now - start >= BOUND {
                return Err(broken);
            }
            world.run(Duration::from_millis(500))?;
        }
        let settled = world.now - start;
        world.run(CALM)?;
        if check(world).is_ok() {
            return Ok(settled);
        }
    }
}
