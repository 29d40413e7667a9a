//! Work: the invariants of what runs: those that hold at every step, and those that each part of a mesh comes to hold
//! within a bound after its last disturbance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::Launch;
use fabric::View;
use types::{AppName, Namespace, NodeName};

use crate::watch::Broken;
use crate::world::World;

/// Two nodes that hear each other may both serve a slot for so long: that of finding each other again, and of moving.
const DOUBLED: Duration = Duration::from_secs(45);

/// A slot that two nodes serve.
type Double = (AppName, u32, usize, usize);

/// Since when slots are served twice.
#[derive(Default)]
pub(crate) struct Doubles(BTreeMap<Double, Duration>);

fn broken(invariant: &'static str, what: String) -> Broken {
    Broken { invariant, what }
}

impl World {
    fn view_of(&self, node: usize) -> Option<View> {
        Some(self.nodes[node].running.as_ref()?.core.view(&Namespace::default()))
    }

    /// A node launches no more of an app than it has slots of it, and one for an update; and never more than the
    /// budget that it knows.
    pub(crate) fn check_spawn(&mut self, node: usize, launch: &Launch) {
        let living = self.nodes[node].keeper.of_app(&launch.app).count();
        let name = self.nodes[node].name.clone();
        let Some(mind) = self.nodes[node].mind() else { return };
        let Some(decided) = mind.decision.apps.get(&launch.app) else { return };
        let slots = decided.slots.values().filter(|holder| **holder == name).count();
        let wanted = decided.wanted as usize;
        // a plan that shrank leaves some that are about to be told to go
        if slots > 0 && living > wanted.max(slots) {
            let what = format!("node {node} runs {living} of {} and spawns one, of {wanted}", launch.app);
            self.watch.fail("never over budget", what);
        }
    }

    /// What a node serves: its replicas that are ready, as it says, and there.
    fn served(&self, node: usize) -> BTreeSet<(AppName, u32)> {
        let Some(view) = self.view_of(node) else { return BTreeSet::new() };
        let target = &self.nodes[node];
        let ready = |launch: &Launch| {
            let said = view.endpoint(&launch.app, &target.name, &launch.id.replica);
            said.is_some_and(|said| said.is_ready())
        };
        let serving = target.keeper.serving().map(|process| &process.launch);
        serving.filter(|launch| ready(launch)).map(|launch| (launch.app.clone(), launch.slot)).collect()
    }

    /// Looks for slots that two nodes serve that hear each other, and have for too long.
    pub(crate) fn watch_work(&mut self) {
        if !self.config().working || !self.config().watched {
            return;
        }
        let runs = |node: &usize| self.nodes[*node].running.is_some() && !self.nodes[*node].paused;
        let served: Vec<(usize, BTreeSet<(AppName, u32)>)> =
            (0..self.nodes.len()).filter(runs).map(|node| (node, self.served(node))).collect();
        let mut doubles: BTreeSet<Double> = BTreeSet::new();
        for (place, (one, mine)) in served.iter().enumerate() {
            for (other, theirs) in &served[place + 1..] {
                if self.links.is_open(*one, *other) && self.links.is_open(*other, *one) {
                    let both = mine.intersection(theirs);
                    doubles.extend(both.map(|(app, slot)| (app.clone(), *slot, *one, *other)));
                }
            }
        }
        let now = self.now;
        self.doubles.0.retain(|double, _| doubles.contains(double));
        for double in doubles {
            let since = *self.doubles.0.entry(double.clone()).or_insert(now);
            if now - since > DOUBLED {
                let (app, slot, one, other) = double;
                let what = format!("nodes {one} and {other} both serve slot {slot} of {app}");
                return self
                    .watch
                    .fail("never two replicas of one slot for longer than the heal bound", what);
            }
        }
    }

    /// Whether a part of the mesh, once it has settled, runs what it should: all of it decide the same, everything
    /// that finds room is served, by one replica a slot, and nothing else runs.
    pub(crate) fn check_work(&self, part: &[usize]) -> Result<(), Broken> {
        let minds = part.iter().filter_map(|node| {
            let running = self.nodes[*node].running.as_ref()?;
            Some((*node, running.mind.as_ref()?))
        });
        let minds: Vec<_> = minds.collect();
        let Some((first, model)) = minds.first() else { return Ok(()) };
        for (node, mind) in &minds {
            if mind.decision != model.decision {
                let what = format!("nodes {first} and {node} decide differently");
                return Err(broken("every node of a part decides the same", what));
            }
        }
        let Some(view) = self.view_of(*first) else { return Ok(()) };
        let served: BTreeMap<&NodeName, _> =
            part.iter().map(|node| (&self.nodes[*node].name, self.served(*node))).collect();
        for (app, decided) in &model.decision.apps {
            let holds = self.natures.get(&decided.release.digest).is_none_or(|nature| nature.holds());
            for (slot, holder) in &decided.slots {
                let place = (app.clone(), *slot);
                if holds && !served.get(holder).is_some_and(|served| served.contains(&place)) {
                    let what = format!("{holder} doesn't serve slot {slot} of {app}");
                    return Err(broken("min is held by every part that can", what));
                }
            }
            let living: usize = part.iter().map(|node| self.nodes[*node].keeper.of_app(app).count()).sum();
            if living > decided.slots.len() {
                let what = format!("{living} of {app} run, {} are wanted", decided.slots.len());
                return Err(broken("never over budget", what));
            }
        }
        let unasked = part.iter().flat_map(|node| self.nodes[*node].keeper.serving());
        if let Some(process) = unasked.into_iter().find(|one| !view.plans.contains_key(&one.launch.app)) {
            let what = format!("{} of {} runs on", process.launch.id.replica, process.launch.app);
            return Err(broken("nothing deleted comes back", what));
        }
        let ghost = view.endpoints().find(|said| {
            let holder = part.iter().find(|node| self.nodes[**node].name == said.node_id);
            holder.is_some_and(|node| {
                let mut processes = self.nodes[*node].keeper.serving();
                said.is_ready() && !processes.any(|one| one.launch.id.replica == said.replica)
            })
        });
        match ghost {
            Some(said) => {
                Err(broken("no record says ready of what isn't there", format!("{} does", said.replica)))
            }
            None => Ok(()),
        }
    }
}
