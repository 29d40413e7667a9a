//! Filling: a node for each empty slot, every app's first ones before any app's second ones.
//!
//! A slot goes to the zone that has fewest of the app; in it to the node that has fewest; among several of these
//! to the next on the ring that stays within its share of all apps. What counts there is what is ready and what
//! fills an *earlier* slot: so a decision stays the same while its outcome comes to light, in whatever order it does.

use std::collections::BTreeSet;

use types::Nutrients;

use crate::place::Placement;
use crate::ring::{self, Ring};
use crate::room::Ask;
use crate::shares::{Shares, Standing};
use crate::spread::Settled;

/// How good a node is for one more replica, the better the less: how deep it is, and how it stands then.
type Rank = ((u32, u32), Standing);

impl Placement<'_> {
    /// Fills the empty slots and levels; again while levelling made room for what had none.
    pub(crate) fn fill(&mut self) {
        loop {
            self.fill_empty();
            if self.level_all() == 0 {
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
            let mut settled = Settled::default();
            for (slot, place) in app.slots.iter().filter(|(slot, _)| app.is_ready(**slot)) {
                settled.spread.add(*place, self.room.zone(*place));
                shares.give(*place, app.each_of(*slot));
            }
            app.settled = settled;
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
                app.settled.spread.add(*place, self.room.zone(*place));
                shares.give(*place, app.each_of(slot));
            }
        }
    }

    /// The shares of all, nothing given yet.
    pub(crate) fn shares(&self) -> Shares {
        let wanted = self.apps.iter().map(|app| (app.sizing.each, app.wanted));
        Shares::new(self.room.capacities(), wanted)
    }

    fn fill_slot(&mut self, app: usize, slot: u32, shares: &Shares, hopeless: &mut Hopeless) {
        let ask = self.apps[app].ask(slot);
        if hopeless.covers(app, &ask) {
            return;
        }
        match self.find(app, slot, shares) {
            Some(place) => self.put(app, slot, place),
            None => hopeless.add(app, &ask),
        }
    }

    /// The node for one more replica: of those that fit and are least deep, the first on the ring that stays
    /// within its share.
    fn find(&mut self, app: usize, slot: u32, shares: &Shares) -> Option<usize> {
        let room = &self.room;
        let ring = self.ring.get_or_insert_with(|| Ring::new(room.names()));
        let app = &mut self.apps[app];
        if app.closed.len() == room.zones().len() {
            return None;
        }
        let ask = app.ask(slot);
        let bound = app.settled.bound(room.zones(), &app.closed);
        let mut best: Option<(Rank, usize)> = None;
        for place in ring.walk(ring::point(app.hash, slot)) {
            let depth = app.settled.depth(place, room.zone(place));
            if best.is_some_and(|((least, _), _)| depth > least) {
                continue;
            }
            let rank = (depth, shares.standing(place, ask.each));
            if best.is_some_and(|(least, _)| rank >= least) || !room.fits(place, &ask) {
                continue;
            }
            best = Some((rank, place));
            if rank <= (bound, Standing::Within) {
                break;
            }
        }
        let ((depth, _), place) = best?;
        if depth > bound {
            app.settled.learn(room.zones(), &app.closed, depth);
        }
        Some(place)
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
