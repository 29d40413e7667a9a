//! Levelling: where an app is two or more replicas deeper in one zone, or on one node, than in another with room,
//! one moves over: a new one if there is one, a ready one last.
//!
//! A move makes the zones more even, or the nodes without making the zones less so: it comes to an end. It never
//! brings a node above its share, so that a new zone of few nodes doesn't draw everything.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::place::{App, Placement};
use crate::ring;
use crate::shares::{Shares, Standing};

/// A slot that could move: how deep its zone and node are, and how little is lost by it.
type Candidate = ((u32, u32), Reverse<Option<bool>>, u32, usize);

impl Placement<'_> {
    /// Levels every app; returns how many replicas moved.
    pub(crate) fn level_all(&mut self) -> usize {
        let mut shares = None;
        (0..self.apps.len()).map(|app| self.level(app, &mut shares)).sum()
    }

    fn level(&mut self, app: usize, shares: &mut Option<Shares>) -> usize {
        let mut moved = 0;
        while self.is_uneven(&self.apps[app])
            && let Some((slot, place)) = self.better(app, shares)
        {
            let before = self.apps[app].slots.get(&slot).copied();
            self.take_away(app, slot);
            self.put(app, slot, place);
            if let (Some(shares), Some(before)) = (&mut *shares, before) {
                let each = self.apps[app].each_of(slot);
                shares.take(before, each);
                shares.give(place, each);
            }
            moved += 1;
        }
        moved
    }

    /// Whether anything could be better by the counts alone: mostly nothing can.
    fn is_uneven(&self, app: &App) -> bool {
        let least = || app.load.least_of_a_zone(self.room.zones(), &app.closed);
        app.load.most_of_a_node() >= 2
            || (self.room.zones().len() > 1
                && least().is_some_and(|least| app.load.most_of_a_zone() >= least + 2))
    }

    /// The slot that should move, and where to: of the deepest zone that has one.
    fn better(&self, app: usize, shares: &mut Option<Shares>) -> Option<(u32, usize)> {
        let app = &self.apps[app];
        let mut deepest: BTreeMap<usize, Candidate> = BTreeMap::new();
        for (slot, place) in app.movable() {
            let zone = self.room.zone(place);
            let depth = (app.load.zone(zone), app.load.node(place));
            let candidate = (depth, Reverse(app.kept.get(&slot).copied()), slot, place);
            let held = deepest.entry(zone).or_insert(candidate);
            *held = (*held).max(candidate);
        }
        let mut candidates: Vec<Candidate> = deepest.into_values().collect();
        candidates.sort_unstable_by_key(|candidate| Reverse(*candidate));
        let target = |&(_, _, slot, from): &Candidate| Some((slot, self.target(app, slot, from, shares)?));
        candidates.iter().find_map(target)
    }

    /// The best node that a slot could move to from another, if that makes the app more even.
    fn target(&self, app: &App, slot: u32, from: usize, shares: &mut Option<Shares>) -> Option<usize> {
        let (zones, home) = (self.room.zones(), self.room.zone(from));
        let (ask, point) = (app.ask(slot), ring::point(app.hash, slot));
        let (in_zone, on_node) = (app.load.zone(home), app.load.node(from));
        let better = |zone: usize, place: usize| {
            let other = app.load.zone(zone);
            let wider = zone != home && other + 2 <= in_zone;
            wider || ((zone == home || other < in_zone) && app.load.node(place) + 2 <= on_node)
        };
        let may = |zone: &usize| (*zone == home && on_node >= 2) || app.load.zone(*zone) < in_zone;
        let open = (0..zones.len()).filter(|zone| may(zone) && !app.closed.contains(zone));
        let nodes = open.flat_map(|zone| zones.nodes(zone).iter().map(move |place| (zone, *place)));
        let rank = |(zone, place): &(usize, usize)| {
            (app.load.zone(*zone), app.load.node(*place), ring::distance(point, self.room.name(*place)))
        };
        let mut fitting: Vec<(usize, usize)> =
            nodes.filter(|(zone, place)| better(*zone, *place) && self.room.fits(*place, &ask)).collect();
        fitting.sort_by_cached_key(rank);
        let within = |shares: &mut Option<Shares>, place: usize| {
            let shares = shares.get_or_insert_with(|| self.shares_as_placed());
            shares.standing(place, ask.each) == Standing::Within
        };
        let mut found = fitting.into_iter();
        found.find(|(zone, place)| *zone == home || within(shares, *place)).map(|(_, place)| place)
    }

    /// The shares of all, everything given that is placed.
    fn shares_as_placed(&self) -> Shares {
        let mut shares = self.shares();
        for app in &self.apps {
            app.slots.iter().for_each(|(slot, place)| shares.give(*place, app.each_of(*slot)));
        }
        shares
    }
}
