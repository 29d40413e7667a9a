//! The nodes of this machine: their keys, their authority, their records.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use fabric::{Authority, Fabric};
use genome::{Credit, Demand, Learned, Node, Observed};
use soul::{KeyStore, SecretKey};
use types::{AppName, NodeName, Signer as _, Timestamp};

use crate::config::StartError;
use crate::identity::MeshFile;

/// The keys of all nodes that ever ran in this state.
pub(crate) struct Nodes {
    /// Those that run now.
    pub(crate) present: BTreeMap<NodeName, Arc<SecretKey>>,
    /// Those that ran before, when there were more.
    past: BTreeMap<NodeName, Arc<SecretKey>>,
}

impl Nodes {
    /// Loads or makes the keys of `node-1` to `node-{count}`.
    pub(crate) fn load(dir: &Path, count: u32) -> Result<Self, StartError> {
        let store = KeyStore::open(dir)?;
        let mut present = BTreeMap::new();
        for number in 1..=count {
            let name = NodeName::new(&format!("node-{number}")).expect("a number makes it no less a label");
            present.insert(name.clone(), Arc::new(store.ensure(name.as_str())?.0));
        }
        let mut past = BTreeMap::new();
        for info in store.list()? {
            let info = info?;
            if let Ok(name) = NodeName::new(&info.name)
                && !present.contains_key(&name)
            {
                past.insert(name, Arc::new(store.load(&info.name)?));
            }
        }
        Ok(Self { present, past })
    }

    /// Loads the key of the one node that this machine is in a mesh of many.
    pub(crate) fn load_one(dir: &Path, name: &NodeName) -> Result<Self, StartError> {
        let key = Arc::new(KeyStore::open(dir)?.load(name.as_str())?);
        Ok(Self { present: BTreeMap::from([(name.clone(), key)]), past: BTreeMap::new() })
    }

    /// Who may write in a mesh of its own: the mesh's operators, and each node about itself.
    pub(crate) fn authority(&self, mesh: &MeshFile) -> Authority {
        let all = self.present.iter().chain(&self.past);
        Authority {
            operators: mesh.operators.iter().copied().collect(),
            nodes: all.map(|(name, key)| (name.clone(), key.public_key())).collect(),
            ..Authority::default()
        }
    }

    /// Publishes the nodes that run, all before the first is given work, and takes back those that don't
    /// any more, replicas included.
    pub(crate) fn publish(
        &self,
        fabric: &Fabric,
        describe: impl Fn(&NodeName) -> Node,
        now: Timestamp,
    ) -> Result<(), StartError> {
        for (name, key) in &self.present {
            fabric.publish_node(&describe(name), &**key, now)?;
        }
        let view = fabric.view();
        for (name, key) in &self.past {
            fabric.remove_node(name, &**key, now)?;
            for endpoint in view.endpoints().filter(|endpoint| endpoint.node_id == *name) {
                fabric.remove_endpoint(&endpoint.app_name, name, &endpoint.replica, &**key, now)?;
            }
            let of = |(_, node): &&(AppName, NodeName)| node == name;
            for (app, node) in view.observed.keys().filter(of) {
                fabric.unsay_of::<Observed>(app, node, &**key, now)?;
            }
            for (app, node) in view.demand.keys().filter(of) {
                fabric.unsay_of::<Demand>(app, node, &**key, now)?;
            }
            for (app, node) in view.learned.keys().filter(of) {
                fabric.unsay_of::<Learned>(app, node, &**key, now)?;
            }
            for (app, node) in view.credits.keys().filter(of) {
                fabric.unsay_of::<Credit>(app, node, &**key, now)?;
            }
        }
        Ok(())
    }
}
