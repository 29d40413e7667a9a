//! Placement: which node fills which slot of which app.
//!
//! First everything that is there is kept ([`Placement::keep`]), so that a newcomer never drives out what
//! runs. Then the empty slots are filled, every app's first ones before any app's second ones: each goes to
//! the node that has fewest of the app, among several to the next on the ring that stays within its share of
//! all apps. What counts there is what is ready and what fills an *earlier* slot: so a decision stays the same while
//! its outcome comes to light, in whatever order it does. Last, where an app is two or more replicas deeper on one
//! node than on another with room, one moves over, a new one if there is one; nothing else ever moves, unless its
//! node is drained ([`leave`](crate::leave)).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use genome::{Budget, Observed, Plan, Release, Revision};
use types::{AppName, NodeName, Nutrients, Workload};

use crate::ring::{self, Ring};
use crate::room::{Ask, Room};
use crate::shares::{Shares, Standing};
use crate::{Planned, World, effective};

/// The state of a decision while it is made.
pub(crate) struct Placement<'a> {
    pub(crate) room: Room<'a>,
    /// In the order of their names.
    pub(crate) apps: Vec<App<'a>>,
    /// Made when the first slot is empty: mostly nothing is to be placed.
    ring: Option<Ring>,
    /// What is to leave a drained node, the better claims first.
    pub(crate) leaving: Vec<Leaving>,
}

/// A replica on a drained node.
pub(crate) struct Leaving {
    pub(crate) app: usize,
    pub(crate) slot: u32,
    pub(crate) place: usize,
    pub(crate) ready: bool,
    /// Its port is kept on its host, since it may stay.
    pub(crate) port: bool,
}

/// One app while its slots are filled.
pub(crate) struct App<'a> {
    pub(crate) name: &'a AppName,
    pub(crate) generation: u64,
    pub(crate) plan: &'a Plan,
    pub(crate) release: &'a Release,
    pub(crate) revision: Revision,
    pub(crate) fallback: Option<String>,
    pub(crate) wanted: u32,
    /// The place of the node that fills each slot.
    pub(crate) slots: BTreeMap<u32, usize>,
    /// Jobs that are done, and where they ran; they take no room.
    pub(crate) done: BTreeMap<u32, &'a NodeName>,
    /// Slots that were kept, and whether their replica is ready: then it is the last to be moved.
    pub(crate) kept: BTreeMap<u32, bool>,
    /// Each replica that is ready: its slot and the place of its node, the better claims first.
    pub(crate) ready: Vec<(u32, usize)>,
    pub(crate) hash: u64,
    /// How many of its replicas each node has.
    load: Load,
    /// How many each node has of those that are ready or before the slot that is being filled.
    settled: Load,
    /// No node that fits has fewer of these.
    least: u32,
}

impl<'a> App<'a> {
    pub(crate) fn ask(&self) -> Ask<'a> {
        Ask { labels: &self.plan.constraints, each: self.release.nutrients, port: self.release.port }
    }

    pub(crate) fn is_filled(&self, slot: u32) -> bool {
        self.slots.contains_key(&slot) || self.done.contains_key(&slot)
    }

    fn is_ready(&self, slot: u32) -> bool {
        self.kept.get(&slot) == Some(&true)
    }

    /// The nodes of what is ready, each as often as it has some.
    fn ready_places(&self) -> impl Iterator<Item = usize> {
        self.slots.iter().filter(|(slot, _)| self.is_ready(**slot)).map(|(_, place)| *place)
    }

    /// The slots that may move: new ones, and kept ones unless they are jobs, which would lose what they did.
    fn movable(&self) -> impl Iterator<Item = (u32, usize)> {
        let jobs = self.release.workload == Workload::Job;
        let slots = self.slots.iter().map(|(slot, place)| (*slot, *place));
        slots.filter(move |(slot, _)| !jobs || !self.kept.contains_key(slot))
    }
}

/// A count for each node, by its place.
#[derive(Default)]
struct Load(BTreeMap<usize, u32>);

impl Load {
    fn of(&self, place: usize) -> u32 {
        self.0.get(&place).copied().unwrap_or(0)
    }

    fn add(&mut self, place: usize) {
        *self.0.entry(place).or_insert(0) += 1;
    }

    fn remove(&mut self, place: usize) {
        *self.0.entry(place).or_insert(1) -= 1;
    }

    fn most(&self) -> u32 {
        self.0.values().max().copied().unwrap_or(0)
    }
}

impl<'a> Placement<'a> {
    /// All apps of the world, nothing placed.
    pub(crate) fn new(world: &World<'a>) -> Self {
        let budgets: BTreeMap<&AppName, &Budget> = world.budgets.iter().map(|b| (&b.app_name, *b)).collect();
        let mut observed: BTreeMap<&AppName, Vec<&Observed>> = BTreeMap::new();
        for seen in &world.observed {
            observed.entry(&seen.app_name).or_default().push(seen);
        }
        let mut plans: BTreeMap<&AppName, &Planned> = BTreeMap::new();
        for planned in &world.plans {
            let held = plans.entry(&planned.plan.app_name).or_insert(planned);
            if planned.generation > held.generation {
                *held = planned;
            }
        }
        let apps = plans.into_values().map(|planned| {
            let (name, plan) = (&planned.plan.app_name, planned.plan);
            let seen = observed.get(name).map(Vec::as_slice).unwrap_or_default();
            let (release, fallback) = effective::release(plan, seen);
            let demand = world.demand.get(name).copied();
            App {
                name,
                generation: planned.generation,
                plan,
                release,
                revision: release.revision(),
                fallback,
                wanted: effective::wanted(plan, release, budgets.get(name).copied(), demand),
                slots: BTreeMap::new(),
                done: BTreeMap::new(),
                kept: BTreeMap::new(),
                ready: Vec::new(),
                hash: ring::hash(name.as_str()),
                load: Load::default(),
                settled: Load::default(),
                least: 0,
            }
        });
        Self {
            room: Room::new(world.nodes.iter().copied(), &world.drained),
            apps: apps.collect(),
            ring: None,
            leaving: Vec::new(),
        }
    }

    /// Promises room of a node to a slot.
    pub(crate) fn put(&mut self, app: usize, slot: u32, place: usize) {
        let app = &mut self.apps[app];
        self.room.take(place, &app.ask());
        app.slots.insert(slot, place);
        app.load.add(place);
    }

    fn take_away(&mut self, app: usize, slot: u32) {
        let app = &mut self.apps[app];
        if let Some(place) = app.slots.remove(&slot) {
            self.room.give_back(place, &app.ask());
            app.load.remove(place);
        }
    }

    /// Fills the empty slots and levels; again while levelling made room for what had none.
    pub(crate) fn fill(&mut self) {
        loop {
            self.fill_empty();
            let moved = (0..self.apps.len()).map(|app| self.level(app)).sum::<usize>();
            if moved == 0 {
                return;
            }
        }
    }

    fn fill_empty(&mut self) {
        if self.apps.iter().all(|app| (0..app.wanted).all(|slot| app.is_filled(slot))) {
            return;
        }
        let mut shares = self.shares();
        let mut order: Vec<(u32, u64, usize)> = Vec::new();
        for (index, app) in self.apps.iter_mut().enumerate() {
            (app.settled, app.least) = (app.ready_places().collect(), 0);
            app.ready_places().for_each(|place| shares.give(place, app.release.nutrients));
            order.extend((0..app.wanted).map(|slot| (slot, app.generation, index)));
        }
        order.sort_unstable();
        let mut hopeless = Hopeless::default();
        for (slot, _, app) in order {
            if !self.apps[app].is_filled(slot) {
                self.fill_slot(app, slot, &shares, &mut hopeless);
            }
            let app = &mut self.apps[app];
            if let Some(place) = app.slots.get(&slot)
                && !app.is_ready(slot)
            {
                app.settled.add(*place);
                shares.give(*place, app.release.nutrients);
            }
        }
    }

    fn shares(&self) -> Shares {
        let wanted = self.apps.iter().map(|app| (app.release.nutrients, app.wanted));
        Shares::new(self.room.capacities(), wanted)
    }

    fn fill_slot(&mut self, app: usize, slot: u32, shares: &Shares, hopeless: &mut Hopeless) {
        let ask = self.apps[app].ask();
        if hopeless.covers(app, &ask) {
            return;
        }
        match self.find(app, slot, shares) {
            Some(place) => self.put(app, slot, place),
            None => hopeless.add(app, &ask),
        }
    }

    /// The node for one more replica: of those that fit and have fewest, the first on the ring that
    /// stays within its share.
    fn find(&mut self, app: usize, slot: u32, shares: &Shares) -> Option<usize> {
        let room = &self.room;
        let ring = self.ring.get_or_insert_with(|| Ring::new(room.names()));
        let app = &mut self.apps[app];
        let ask = app.ask();
        let mut best: Option<((u32, Standing), usize)> = None;
        for place in ring.walk(ring::point(app.hash, slot)) {
            let rank = (app.settled.of(place), shares.standing(place, ask.each));
            if best.is_some_and(|(least, _)| rank >= least) || !room.fits(place, &ask) {
                continue;
            }
            best = Some((rank, place));
            if rank <= (app.least, Standing::Within) {
                break;
            }
        }
        let ((load, _), place) = best?;
        app.least = load;
        Some(place)
    }

    /// Moves replicas from the deepest node to the shallowest that fits, while that makes them more even.
    /// Returns how many moved.
    fn level(&mut self, app: usize) -> usize {
        let mut moved = 0;
        while let Some((slot, place)) = self.uneven(app) {
            self.take_away(app, slot);
            self.put(app, slot, place);
            moved += 1;
        }
        moved
    }

    /// The slot that should move, and where to.
    fn uneven(&self, app: usize) -> Option<(u32, usize)> {
        let app = &self.apps[app];
        if app.load.most() < 2 {
            return None;
        }
        let rank = |(slot, place): &(u32, usize)| {
            let ready = app.kept.get(slot).copied();
            (app.load.of(*place), Reverse(ready), *slot)
        };
        let (slot, place) = app.movable().max_by_key(rank)?;
        let depth = app.load.of(place);
        let (ask, point) = (app.ask(), ring::point(app.hash, slot));
        let shallow = (0..self.room.len()).filter(|place| app.load.of(*place) + 2 <= depth);
        let fitting = shallow.filter(|place| self.room.fits(*place, &ask));
        let target = fitting
            .min_by_key(|place| (app.load.of(*place), ring::distance(point, self.room.name(*place))))?;
        Some((slot, target))
    }
}

impl FromIterator<usize> for Load {
    fn from_iter<T: IntoIterator<Item = usize>>(places: T) -> Self {
        let mut load = Self::default();
        places.into_iter().for_each(|place| load.add(place));
        load
    }
}

/// What found no room in this round, so that nothing that needs as much looks again.
#[derive(Default)]
struct Hopeless {
    apps: BTreeSet<usize>,
    sizes: Vec<Nutrients>,
}

impl Hopeless {
    fn add(&mut self, app: usize, ask: &Ask) {
        if ask.labels.is_empty() && ask.port == 0 {
            self.sizes.push(ask.each);
        }
        self.apps.insert(app);
    }

    fn covers(&self, app: usize, ask: &Ask) -> bool {
        let no_smaller =
            |size: &Nutrients| ask.each.cpu_milli >= size.cpu_milli && ask.each.memory_mb >= size.memory_mb;
        self.sizes.iter().any(no_smaller) || self.apps.contains(&app)
    }
}

#[cfg(test)]
mod tests;
