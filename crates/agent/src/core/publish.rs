//! The records of this node: what the replicas are, against what the fabric says they are.

use std::collections::BTreeMap;

use genome::{Endpoint, Observed};
use types::{AppName, ReplicaName};

use super::Core;
use super::message::{Action, Observing};

impl Core {
    /// Asks for what brings the records of `app` in line: first what serves from now on, then all other
    /// changes, so that between two writes an app never has fewer ready replicas than before and after.
    pub(super) fn publish(&mut self, app: &AppName) {
        let mut changed: Vec<Endpoint> = Vec::new();
        for (name, replica) in self.replicas.iter().filter(|(_, replica)| replica.launch.app == *app) {
            let known = self.published.get(name);
            let Some(state) = replica.visible(self.now, known.map(|known| known.state)) else { continue };
            let since = known.filter(|known| known.state == state).map_or(self.now.wall, |known| known.since);
            let record = replica.endpoint(&self.node, state, since);
            if known != Some(&record) {
                changed.push(record);
            }
        }
        let gone = |name: &ReplicaName, record: &Endpoint| {
            record.app_name == *app && !self.replicas.contains_key(name)
        };
        let gone: Vec<ReplicaName> = self
            .published
            .iter()
            .filter(|(name, record)| gone(name, record))
            .map(|(name, _)| name.clone())
            .collect();
        changed.sort_by_key(|record| !record.is_ready());
        for record in changed {
            self.published.insert(record.replica.clone(), record.clone());
            self.act(Action::Register(Box::new(record)));
        }
        for name in gone {
            self.published.remove(&name);
            self.act(Action::Unregister(app.clone(), name));
        }
    }

    /// What brings this node's own records in the fabric in line with what it has said: what was lost here in a
    /// crash comes back from peers, and with it replicas that are gone and states that have passed. To be asked for
    /// once what was there before has been adopted, whenever records have come.
    pub fn corrections<'a>(
        &self,
        endpoints: impl Iterator<Item = &'a Endpoint>,
        observed: impl Iterator<Item = &'a Observed>,
    ) -> Vec<Action> {
        // what stays behind after the end is meant to
        if self.stopping {
            return Vec::new();
        }
        let held: BTreeMap<&ReplicaName, &Endpoint> =
            endpoints.map(|record| (&record.replica, record)).collect();
        let strangers = held.values().filter(|record| !self.published.contains_key(&record.replica));
        let strangers =
            strangers.map(|record| Action::Unregister(record.app_name.clone(), record.replica.clone()));
        let other = |(name, said): &(&ReplicaName, &Endpoint)| held.get(name) != Some(said);
        let others = self.published.iter().filter(other);
        let others = others.map(|(_, said)| Action::Register(Box::new(said.clone())));
        let withdrawn = observed.filter(|seen| !self.reported.contains_key(&seen.app_name));
        let withdrawn = withdrawn.map(|seen| Action::Observe(seen.app_name.clone(), Observing::Withdrawn));
        strangers.chain(others).chain(withdrawn).collect()
    }
}
