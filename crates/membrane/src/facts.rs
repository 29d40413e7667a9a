//! Facts: what this machine lets us hold workloads to, found out by trying, for people, plans and peers.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cgroup::{Budgets, Cgroups, Hold, Version};
use crate::home;
use crate::{By, Layers};

/// What is given here, each with the reason where it isn't.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What confines.
    pub layers: Layers,
    /// What it can be held to in what it uses.
    pub budgets: Budgets,
}

impl Facts {
    /// Finds out: rooms, groups and programs are made and left. Some 50 ms, blocking.
    #[must_use]
    pub fn find() -> Self {
        let name = home::chance()[..8].to_owned();
        let record = std::env::temp_dir().join(format!("mesh-{name}"));
        let groups = Cgroups::prepare(&name, &record);
        let budgets = groups.budgets().clone();
        groups.close();
        let _ = std::fs::remove_file(record);
        Self { layers: Layers::find(), budgets }
    }

    /// The same as labels of a node, which plans can ask for: `mesh.room=yes`, `mesh.landlock=7`, `mesh.memory=v2` and so
    /// on. What isn't given has none.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<String, String> {
        let Layers { room, user, landlock, .. } = &self.layers;
        let Budgets { cpu, memory, pids, io, .. } = &self.budgets;
        let yes = |given: &Result<(), String>| given.is_ok().then(|| "yes".to_owned());
        let by = |hold: &Hold| match hold {
            Hold::By(Version::V1) => Some("v1".to_owned()),
            Hold::By(Version::V2) => Some("v2".to_owned()),
            Hold::Not(_) => None,
        };
        let by_what = if self.layers.reach.is_ok() { "ebpf" } else { "network" };
        let all = [
            ("room", yes(room)),
            ("user", yes(user)),
            ("landlock", landlock.as_ref().ok().map(ToString::to_string)),
            ("reach", yes(&self.layers.exact(By::Any))),
            ("reach-by", self.layers.exact(By::Any).ok().map(|()| by_what.to_owned())),
            ("cpu", by(cpu)),
            ("memory", by(memory)),
            ("pids", by(pids)),
            ("io", by(io)),
        ];
        all.into_iter().filter_map(|(name, value)| Some((format!("mesh.{name}"), value?))).collect()
    }
}
