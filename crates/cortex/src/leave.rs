//! Leaving: how a replica goes from one living node to another without a moment in which its slot isn't served.
//!
//! What is on a drained node is placed as if it weren't there; where nothing else fits, it stays. And of
//! whatever moves, the old replica serves on until the new one is ready: both take part in the decision by
//! their records alone, so that every node sees the same step of it.

use std::collections::BTreeMap;

use types::Workload;

use crate::place::{App, Leaving, Placement};

impl Placement<'_> {
    /// Notes that a replica is to leave its drained node.
    pub(crate) fn leaves(&mut self, app: usize, slot: u32, place: usize, ready: bool) {
        self.leaving.push(Leaving { app, slot, place, ready, port: false });
    }

    /// Keeps the ports of what is to leave and is needed where it is: nothing can listen there before it has gone.
    pub(crate) fn reserve_ports(&mut self) {
        for leaving in self.leaving.iter_mut().filter(|leaving| leaving.ready) {
            let app = &self.apps[leaving.app];
            if app.kept.get(&leaving.slot) != Some(&true) {
                let port = app.release_of(leaving.slot).port;
                leaving.port = self.room.reserve_port(leaving.place, port);
            }
        }
    }

    /// What found no other node stays on its drained one. Whether one that can't has set its port free.
    pub(crate) fn stay(&mut self) -> bool {
        let mut freed = false;
        for Leaving { app, slot, place, ready, port } in std::mem::take(&mut self.leaving) {
            if self.apps[app].is_filled(slot) {
                continue;
            }
            let ask = self.apps[app].claim(slot);
            if port {
                self.room.release_port(place, ask.port);
            }
            if self.room.holds(place, &ask) {
                self.put(app, slot, place);
                self.apps[app].kept.insert(slot, ready);
            } else {
                freed |= port;
            }
        }
        freed
    }

    /// The slots of an app that are served elsewhere than where they are filled, and by whom until they are; and
    /// those that wait for their turn with what neither the plan nor the one before it knows.
    pub(crate) fn stays(&self, app: &App) -> impl Iterator<Item = (u32, usize)> {
        let mut stays: BTreeMap<u32, usize> = BTreeMap::new();
        for (slot, place) in app.ready.iter().rev() {
            let release = app.release_of(*slot);
            let Some(holder) = app.slots.get(slot).filter(|holder| *holder != place) else { continue };
            // Where both need one port of one host, the old one has to go first; and a job has one turn.
            let beside = release.port == 0 || !self.room.is_one_host(*place, *holder);
            if beside && release.workload != Workload::Job {
                stays.insert(*slot, *place);
            }
        }
        for (slot, place) in &app.ready {
            if app.slots.get(slot) == Some(place) {
                stays.remove(slot);
            }
        }
        let left_over = |(slot, place): &(&u32, &usize)| app.left_over.get(*slot) == Some(*place);
        let waiting = app.slots.iter().filter(left_over).map(|(slot, place)| (*slot, *place));
        stays.extend(waiting);
        stays.into_iter()
    }
}

#[cfg(test)]
mod tests;
