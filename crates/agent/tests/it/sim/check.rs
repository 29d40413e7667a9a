//! What must hold: after every step, and when all has been quiet for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::{Launch, LaunchId};
use cortex::Assignment;
use genome::{Endpoint, ReplicaState};
use types::{AppName, NodeName, ReplicaName, Workload};

use super::mesh::Mesh;

/// How long two nodes may both serve a slot, while it moves.
const DOUBLED: Duration = Duration::from_secs(1);

/// How long an agent may not know that a process has ended.
const GHOST: Duration = Duration::from_millis(500);

/// Whether blue and green can run beside each other.
fn has_room_for_two(wanted: &Assignment) -> bool {
    wanted.release.port == 0 && wanted.release.workload != Workload::Job
}

impl Mesh {
    /// What a node serves.
    pub fn served(&self, node: &NodeName) -> Vec<Endpoint> {
        let own =
            self.fabric.endpoints.values().filter(|record| record.node_id == *node && record.is_ready());
        own.cloned().collect()
    }

    /// What served before a step serves after it, unless it died, was replaced, is unwanted, or has to make
    /// room for its successor. And of one slot, one replica serves.
    pub fn check_served(&self, name: &NodeName, before: &[Endpoint]) -> Result<(), String> {
        let node = &self.nodes[name];
        let after = self.served(name);
        let mut slots = BTreeSet::new();
        for record in &after {
            if !slots.insert((record.app_name.clone(), record.slot)) {
                return Err(format!("{name} serves slot {} of {} twice", record.slot, record.app_name));
            }
        }
        for record in before {
            let slot = (record.app_name.clone(), record.slot);
            if slots.contains(&slot) {
                continue;
            }
            let wanted = node.wanted().find(|wanted| (wanted.app.clone(), wanted.slot) == slot);
            // Before an agent knows what is wanted, nothing is unwanted.
            let stays = node.world.as_ref().is_none_or(|world| world.stays.contains(&slot));
            if wanted.is_none() && !stays {
                continue;
            }
            if wanted.is_none_or(has_room_for_two) && self.could_serve(name, &record.replica) {
                return Err(format!(
                    "{name} took {} of slot {} away, which served",
                    record.replica, record.slot
                ));
            }
        }
        // What drains serves on where nobody else does.
        for record in self.fabric.endpoints.values().filter(|record| record.node_id == *name) {
            let slot = (record.app_name.clone(), record.slot);
            let wanted = node.wanted().find(|wanted| (wanted.app.clone(), wanted.slot) == slot);
            if record.state == ReplicaState::Draining
                && node.drains.contains_key(&record.replica)
                && !slots.contains(&slot)
                && wanted.is_some_and(has_room_for_two)
                && self.could_serve(name, &record.replica)
            {
                return Err(format!(
                    "{name} lets {} drain, and nobody serves slot {}",
                    record.replica, record.slot
                ));
            }
        }
        Ok(())
    }

    fn could_serve(&self, name: &NodeName, replica: &ReplicaName) -> bool {
        let mut running = self.nodes[name].running();
        running.any(|process| process.launch.id.replica == *replica && !process.sick && !process.told)
    }

    /// Nobody is told to go while requests are open on it, or its grace is over.
    pub fn check_drained(&self, name: &NodeName, id: &LaunchId) -> Result<(), String> {
        let node = &self.nodes[name];
        let (Some((_, since, answered)), Some(process)) =
            (node.drains.get(&id.replica), node.processes.get(id))
        else {
            return Ok(());
        };
        if !answered && self.now < *since + process.launch.grace() {
            return Err(format!("{name} stops {id:?}, which has open requests"));
        }
        Ok(())
    }

    /// No record says ready for long where there is no process.
    pub fn check_ghosts(&mut self) -> Result<(), String> {
        let is_ghost = |record: &&Endpoint| {
            let node = &self.nodes[&record.node_id];
            let mut running = node.running();
            record.is_ready()
                && node.core.is_some()
                && !running.any(|process| process.launch.id.replica == record.replica)
        };
        let now: BTreeSet<ReplicaName> =
            self.fabric.endpoints.values().filter(is_ghost).map(|record| record.replica.clone()).collect();
        self.ghosts.retain(|replica, _| now.contains(replica));
        for replica in now {
            let since = *self.ghosts.entry(replica.clone()).or_insert(self.now);
            if self.now - since > GHOST {
                return Err(format!("{replica} is said to be ready, and there is no process"));
            }
        }
        Ok(())
    }

    /// No more processes of an app than its slots and one.
    pub fn check_room(&self, name: &NodeName, launch: &Launch) -> Result<(), String> {
        let node = &self.nodes[name];
        let living = node.running().filter(|process| process.launch.app == launch.app).count();
        let slots = node.slots_since.get(&launch.id).map_or(0, |(_, most)| *most);
        if living > slots {
            return Err(format!(
                "{name} runs {living} of {} and spawns one more, with {slots} slots",
                launch.app
            ));
        }
        Ok(())
    }

    /// No slot is served by two nodes for long.
    pub fn check_doubles(&mut self) -> Result<(), String> {
        let mut served: BTreeMap<(AppName, u32), u32> = BTreeMap::new();
        for record in self.fabric.endpoints.values().filter(|record| record.is_ready()) {
            let dead = self.nodes[&record.node_id].core.is_none();
            if !dead {
                *served.entry((record.app_name.clone(), record.slot)).or_default() += 1;
            }
        }
        let now = self.now;
        self.doubled.retain(|slot, _| served.get(slot).is_some_and(|count| *count > 1));
        for (slot, count) in served {
            if count > 1 && now - *self.doubled.entry(slot.clone()).or_insert(now) > DOUBLED {
                return Err(format!("slot {} of {} is served by {count} nodes for too long", slot.1, slot.0));
            }
        }
        Ok(())
    }

    /// All is as it should be, and nothing is left of what was.
    pub fn check_end(&mut self) -> Result<(), String> {
        let decision = self.fabric.decision();
        let mut expected: BTreeMap<(AppName, u32), NodeName> = BTreeMap::new();
        for (app, decided) in &decision.apps {
            if decided.unplaced > 0 {
                return Err(format!("{} replicas of {app} are not placed", decided.unplaced));
            }
            expected.extend(decided.slots.iter().map(|(slot, node)| ((app.clone(), *slot), node.clone())));
        }
        let mut known: BTreeSet<ReplicaName> = BTreeSet::new();
        for record in self.fabric.endpoints.values() {
            let slot = (record.app_name.clone(), record.slot);
            let right = expected.remove(&slot).is_some_and(|node| node == record.node_id);
            let Some(decided) = decision.apps.get(&record.app_name) else {
                return Err(format!("at the end there is {record:#?}, and no plan for it"));
            };
            let state = match decided.release.workload {
                Workload::Job => ReplicaState::Completed,
                Workload::Service | Workload::Worker => ReplicaState::Ready,
            };
            if self.fabric.drained.contains(&record.node_id) && state == ReplicaState::Ready {
                return Err(format!("at the end there is {record:#?}, on a drained node"));
            }
            if !right || record.state != state || record.revision != decided.revision {
                return Err(format!("at the end there is {record:#?}"));
            }
            if state == ReplicaState::Ready {
                known.insert(record.replica.clone());
            }
        }
        if let Some((slot, node)) = expected.first_key_value() {
            return Err(format!("at the end {node} doesn't run slot {} of {}", slot.1, slot.0));
        }
        for node in self.nodes.values() {
            let held: BTreeSet<&ReplicaName> = node.processes.keys().map(|id| &id.replica).collect();
            if let Some(leaked) = held.iter().find(|replica| !known.contains(**replica)) {
                return Err(format!(
                    "at the end {} holds a process of {leaked}, which nobody knows",
                    node.name
                ));
            }
            let folders: BTreeSet<_> = node.folders.iter().collect();
            if folders != node.processes.keys().collect() {
                return Err(format!("at the end {} has folders {folders:?}", node.name));
            }
        }
        Ok(())
    }
}
