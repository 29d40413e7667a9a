//! What must hold: after every step, and when all has been quiet for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agent::Launch;
use genome::{Endpoint, ReplicaState};
use types::{AppName, NodeName, ReplicaName, Workload};

use super::mesh::Mesh;

/// How long two nodes may both serve a slot, while it moves.
const DOUBLED: Duration = Duration::from_secs(1);

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
            let Some(wanted) = wanted else { continue };
            let alive =
                node.running().any(|process| process.launch.id.replica == record.replica && !process.sick);
            let no_room = wanted.release.port != 0 || wanted.release.workload == Workload::Job;
            // It was sick a moment ago, and that was already decided.
            let condemned = node
                .processes
                .values()
                .any(|process| process.launch.id.replica == record.replica && process.told);
            if alive && !no_room && !condemned {
                return Err(format!(
                    "{name} took {} of slot {} away, which served",
                    record.replica, record.slot
                ));
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
