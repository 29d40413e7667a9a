//! The records of this node: what the replicas are, against what the fabric says they are.

use genome::Endpoint;
use types::{AppName, ReplicaName};

use super::Core;
use super::message::Action;

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
}
