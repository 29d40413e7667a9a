//! Measure: how long things take in a mesh of many nodes, on links of 1 to 5 ms with 1 % loss. Times are simulated:
//! they don't depend on the machine that simulates.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fabric::net::{Event, PeerId};
use rand::RngExt as _;
use rand::seq::{IndexedRandom as _, IteratorRandom as _, SliceRandom as _};

use crate::links::Weather;
use crate::records;
use crate::starve::starve;
use crate::watch::Broken;
use crate::world::{World, WorldConfig};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(50);
/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(180);
/// Up to so many nodes, each plans: the time to decide is then part of what is measured.
const MOST_WORKING: usize = 1_500;
/// In meshes of more than a hundred, nodes are killed one by one so often at most: each takes half a simulated minute.
const MOST_KILLED: usize = 20;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// How many nodes.
    pub nodes: usize,
    /// From which everything derives.
    pub seed: u64,
    /// Records published, nodes killed, nodes joined.
    pub samples: usize,
    /// How long a calm mesh is watched for traffic and false deaths.
    pub idle: Duration,
    /// How long a mesh is watched of which a tenth of the nodes is starved of CPU; twice.
    pub starved: Duration,
}

/// What was measured. Times are from the cause to the last node.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// How many nodes.
    pub nodes: usize,
    /// All nodes start at once: until all know all.
    pub founded: Duration,
    /// A plan published: on the last node, and where nodes plan, decided upon by the last.
    pub published: Vec<Duration>,
    /// The same just after a tenth of the nodes died.
    pub bereft: Vec<Duration>,
    /// A node killed: down on the last node.
    pub killed: Vec<Duration>,
    /// A node back: it knows all members and records.
    pub joined: Vec<Duration>,
    /// A cut in half for 60 s, in which each side wrote, heals: members and records equal.
    pub healed: Duration,
    /// Bytes that one node sent for that, on average.
    pub healed_bytes: u64,
    /// Bytes a second that one node sends when nothing happens, on average.
    pub idle: f64,
    /// Nodes that were taken for dead while nobody died; over how long.
    pub false_deaths: usize,
    /// See `false_deaths`.
    pub watched: Duration,
    /// How often a node that ran was taken for dead by anybody while a tenth of the others were starved of CPU: with
    /// the guard against one's own lag, and without it; over `starved`.
    pub accused: (usize, usize),
    /// See `accused`.
    pub starved: Duration,
}

impl World {
    /// Has nodes decide that didn't.
    fn plan(&mut self) -> Result<(), Broken> {
        self.planning = true;
        self.all().into_iter().for_each(|node| self.look_soon(node));
        self.run(STEP)
    }
}

impl Measure {
    /// Runs it.
    pub fn run(self) -> Result<Figures, Broken> {
        let mut world = self.world();
        // of a mesh that is just coming together there is nothing to decide, and very often
        world.planning = false;
        let mut figures = Figures { nodes: self.nodes, founded: found(&mut world)?, ..Figures::default() };
        world.run(40 * SECOND)?;
        world.plan()?;
        for _ in 0..self.samples {
            figures.published.push(publish(&mut world)?);
            let wait = Duration::from_millis(world.rng.random_range(100..400));
            world.run(wait)?;
        }
        idle(&mut world, self.idle, &mut figures)?;
        let kills = if self.nodes <= 100 { self.samples } else { self.samples.min(MOST_KILLED) };
        for _ in 0..kills {
            let node = world.rng.random_range(1..self.nodes);
            figures.killed.push(kill(&mut world, node)?);
            world.run(25 * SECOND)?;
            figures.joined.push(join(&mut world, node)?);
            world.run(5 * SECOND)?;
        }
        heal(&mut world, &mut figures)?;
        bereave(&mut world, self.samples, &mut figures)?;
        if self.starved > Duration::ZERO {
            figures.accused = (starve(self, true)?, starve(self, false)?);
            figures.starved = self.starved;
        }
        Ok(figures)
    }

    pub(crate) fn world(self) -> World {
        World::new(WorldConfig {
            nodes: self.nodes,
            seed: self.seed,
            weather: Weather::lan(0.01),
            watched: false,
            working: self.nodes <= MOST_WORKING,
        })
    }
}

pub(crate) fn found(world: &mut World) -> Result<Duration, Broken> {
    let start = world.now;
    for node in 0..world.nodes.len() {
        let seeds = [0, 1, 2].map(|_| world.rng.random_range(0..world.nodes.len()));
        world.start(node, &seeds);
    }
    until(world, |world| world.check_members(&world.all()))?;
    Ok(world.now - start)
}

/// Runs until a check holds, looking every 50 ms.
fn until(world: &mut World, check: impl Fn(&World) -> Result<(), Broken>) -> Result<(), Broken> {
    let start = world.now;
    loop {
        world.run(STEP)?;
        match check(world) {
            Ok(()) => return Ok(()),
            Err(broken) if world.now - start > PATIENCE => return Err(broken),
            Err(_) => {}
        }
    }
}

/// Publishes one plan; the time until the last node has it, and has decided upon it if it plans.
fn publish(world: &mut World) -> Result<Duration, Broken> {
    let all = world.all();
    let node = *all.choose(&mut world.rng).expect("some run");
    let (app, replicas) = (world.rng.random_range(0..50), world.rng.random_range(1..9));
    let running = world.nodes[node].running.as_ref().expect("all run");
    let record = records::plan(&running.core, app, replicas);
    world.stored.insert(record.id(), BTreeMap::new());
    let (id, start) = (record.id(), world.now);
    world.applying = Some((records::app(app), record.order().major));
    world.applied = (0, start);
    world.publish(node, &record);
    until(world, |world| {
        let here = world.stored.get(&id).map_or(0, BTreeMap::len);
        let deciding = if world.config().working { all.len() } else { 0 };
        let what = format!("{here} of {} have it, {} of {deciding} decided", all.len(), world.applied.0);
        let everywhere = here == all.len() && world.applied.0 == deciding;
        if everywhere { Ok(()) } else { Err(Broken { invariant: "records spread", what }) }
    })?;
    world.applying = None;
    let last = world.stored.remove(&id).and_then(|times| times.into_values().max());
    Ok(last.unwrap_or(start).max(world.applied.1) - start)
}

/// A tenth of the nodes die at once, and plans are published before anybody knows.
fn bereave(world: &mut World, samples: usize, figures: &mut Figures) -> Result<(), Broken> {
    let mut dead = world.all();
    dead.shuffle(&mut world.rng);
    dead.truncate(world.nodes.len() / 10);
    dead.iter().for_each(|node| world.crash(*node));
    for _ in 0..samples {
        figures.bereft.push(publish(world)?);
    }
    Ok(())
}

fn idle(world: &mut World, time: Duration, figures: &mut Figures) -> Result<(), Broken> {
    let before: u64 = world.sent.values().map(|(_, bytes)| bytes).sum();
    world.events.clear();
    world.run(time)?;
    let after: u64 = world.sent.values().map(|(_, bytes)| bytes).sum();
    #[expect(clippy::cast_precision_loss, reason = "sums of bytes are far below 2^52")]
    let rate = (after - before) as f64 / world.nodes.len() as f64 / time.as_secs_f64();
    figures.idle = rate;
    figures.watched = time;
    figures.false_deaths = deaths(world).len();
    Ok(())
}

fn deaths(world: &World) -> BTreeSet<PeerId> {
    let down = |event: &Event| match event {
        Event::Down(peer) => Some(*peer),
        _ => None,
    };
    world.events.iter().filter_map(|(_, _, event)| down(event)).collect()
}

fn kill(world: &mut World, node: usize) -> Result<Duration, Broken> {
    world.events.clear();
    let (start, id) = (world.now, world.nodes[node].id);
    world.crash(node);
    let told = |world: &World| {
        let told = world.events.iter().filter(|(_, _, event)| *event == Event::Down(id));
        told.map(|(at, by, _)| (*by, *at)).collect::<BTreeMap<usize, Duration>>()
    };
    until(world, |world| {
        let (here, count) = (told(world).len(), world.running().count());
        let what = format!("{here} of {count} know");
        if here == count { Ok(()) } else { Err(Broken { invariant: "deaths are noticed", what }) }
    })?;
    Ok(told(world).into_values().max().unwrap_or(start) - start)
}

/// Starts a node with an empty disk; the time until it knows everything.
fn join(world: &mut World, node: usize) -> Result<Duration, Broken> {
    world.nodes[node].disk = crate::disk::Disk::default();
    let others: Vec<usize> = world.running().map(|(number, _)| number).collect();
    let seed = others.into_iter().choose(&mut world.rng).unwrap_or_default();
    let start = world.now;
    world.start(node, &[seed]);
    until(world, |world| {
        let Some(running) = &world.nodes[node].running else { return Ok(()) };
        let model = world.nodes[seed].running.as_ref().expect("the seed runs");
        let (members, records) = (running.net.members().len() + 1, running.core.ids().count());
        let what = format!("{members} members, {records} records");
        if members == world.running().count() && records == model.core.ids().count() {
            Ok(())
        } else {
            Err(Broken { invariant: "joining ends", what })
        }
    })?;
    Ok(world.now - start)
}

fn heal(world: &mut World, figures: &mut Figures) -> Result<(), Broken> {
    let half = world.nodes.len() / 2;
    world.links.split((0..world.nodes.len()).map(|node| u8::from(node < half)).collect());
    for (node, app) in [(0, 60), (half - 1, 61), (half, 62), (world.nodes.len() - 1, 63)] {
        let running = world.nodes[node].running.as_ref().expect("all run");
        let record = records::plan(&running.core, app, 1);
        world.publish(node, &record);
    }
    // how long decisions take is not asked here, and of half a mesh that dies one by one there are very many
    world.planning = false;
    world.run(60 * SECOND)?;
    world.links.heal();
    let start = world.now;
    let before: u64 = world.sent.values().map(|(_, bytes)| bytes).sum();
    until(world, |world| world.check_members(&world.all()).and_then(|()| world.check_records(&world.all())))?;
    let after: u64 = world.sent.values().map(|(_, bytes)| bytes).sum();
    figures.healed = world.now - start;
    figures.healed_bytes = (after - before) / world.nodes.len() as u64;
    world.plan()
}
