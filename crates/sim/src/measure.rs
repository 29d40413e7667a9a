//! Measure: how long things take in a mesh of many nodes, on links of 1 to 5 ms with 1 % loss. Times are simulated:
//! they don't depend on the machine that simulates.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use fabric::net::{Event, PeerId};
use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

use crate::links::Weather;
use crate::records;
use crate::watch::Broken;
use crate::world::{World, WorldConfig};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(50);
/// Nothing may take longer.
const PATIENCE: Duration = Duration::from_secs(180);

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
}

/// What was measured. Times are from the cause to the last node.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// All nodes start at once: until all know all.
    pub founded: Duration,
    /// A record published: on the last node.
    pub published: Vec<Duration>,
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
}

impl Measure {
    /// Runs it.
    pub fn run(self) -> Result<Figures, Broken> {
        let mut world = World::new(WorldConfig {
            nodes: self.nodes,
            seed: self.seed,
            weather: Weather::lan(0.01),
            watched: false,
            working: false,
        });
        let mut figures = Figures { founded: found(&mut world)?, ..Figures::default() };
        world.run(40 * SECOND)?;
        for _ in 0..self.samples {
            figures.published.push(publish(&mut world)?);
        }
        idle(&mut world, self.idle, &mut figures)?;
        for _ in 0..self.samples {
            let node = world.rng.random_range(1..self.nodes);
            figures.killed.push(kill(&mut world, node)?);
            world.run(25 * SECOND)?;
            figures.joined.push(join(&mut world, node)?);
            world.run(5 * SECOND)?;
        }
        heal(&mut world, &mut figures)?;
        Ok(figures)
    }
}

fn found(world: &mut World) -> Result<Duration, Broken> {
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

/// Publishes one record; the time until the last node has it.
fn publish(world: &mut World) -> Result<Duration, Broken> {
    let node = world.rng.random_range(0..world.nodes.len());
    let (app, replicas) = (world.rng.random_range(0..50), world.rng.random_range(1..9));
    let running = world.nodes[node].running.as_ref().expect("all run");
    let record = records::plan(&running.core, app, replicas);
    world.stored.insert(record.id(), std::collections::BTreeMap::new());
    let start = world.now;
    world.publish(node, &record);
    let (id, count) = (record.id(), world.running().count());
    until(world, |world| {
        let here = world.stored.get(&id).map_or(0, std::collections::BTreeMap::len);
        let what = format!("{here} of {count} have it");
        if here == count { Ok(()) } else { Err(Broken { invariant: "records spread", what }) }
    })?;
    let last = world.stored.remove(&id).and_then(|times| times.into_values().max());
    let wait = Duration::from_millis(world.rng.random_range(100..400));
    world.run(wait)?;
    Ok(last.unwrap_or(start) - start)
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
    until(world, |world| {
        let knowing = world.running().filter(|(_, running)| running.net.members().all(|peer| peer.id != id));
        let (here, count) = (knowing.count(), world.running().count());
        let what = format!("{here} of {count} know");
        if here == count { Ok(()) } else { Err(Broken { invariant: "deaths are noticed", what }) }
    })?;
    let told = world.events.iter().filter(|(_, _, event)| *event == Event::Down(id));
    Ok(told.map(|(at, ..)| *at).max().unwrap_or(world.now) - start)
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
    world.run(60 * SECOND)?;
    world.links.heal();
    let start = world.now;
    let before: u64 = world.sent.values().map(|(_, bytes)| bytes).sum();
    until(world, |world| world.check_members(&world.all()).and_then(|()| world.check_records(&world.all())))?;
    let after: u64 = world.sent.values().map(|(_, bytes)| bytes).sum();
    figures.healed = world.now - start;
    figures.healed_bytes = (after - before) / world.nodes.len() as u64;
    Ok(())
}

/// Of some times, that which so many percent don't exceed.
fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spread = |times: &[Duration]| {
            let (half, most) = (percentile(times, 50), percentile(times, 99));
            format!("p50 {half:.1?}, p99 {most:.1?} of {}", times.len())
        };
        writeln!(f, "all start at once -> all know all     {:.1?}", self.founded)?;
        writeln!(f, "record published -> on the last node  {}", spread(&self.published))?;
        writeln!(f, "node killed -> down on the last node  {}", spread(&self.killed))?;
        writeln!(f, "node joins -> knows everything        {}", spread(&self.joined))?;
        writeln!(
            f,
            "50/50 cut healed -> equal everywhere  {:.1?}, {} B a node",
            self.healed, self.healed_bytes
        )?;
        writeln!(f, "idle                                  {:.0} B/s a node", self.idle)?;
        write!(f, "false deaths                          {} in {:.0?}", self.false_deaths, self.watched)
    }
}
