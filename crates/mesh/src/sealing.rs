//! Who is to hold a share of a secret, and which secrets are to be sealed anew: pure functions of what the mesh says.

use std::collections::{BTreeMap, BTreeSet};

use genome::Constraint;
use mycelium::api::{AppSettings, SecretInfo, SettingsAt};
use types::{AppName, NodeName, PublicKey, SettingName};

/// How far a secret is sealed to those that may need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// How many nodes may run an app that gets it.
    pub nodes: usize,
    /// Those of them that have no share.
    pub lacking: Vec<NodeName>,
    /// An operator has no share.
    pub operators: bool,
    /// Somebody has one who needs none any more.
    pub spare: bool,
}

impl Standing {
    /// Of a secret as it is.
    pub fn of(at: &SettingsAt, secret: &SecretInfo) -> Self {
        let nodes =
            if secret.held.is_empty() { nodes(at, &secret.name, &secret.app_names) } else { BTreeMap::new() };
        let lacking = nodes.iter().filter(|(key, _)| !secret.shares.contains(key));
        Self {
            nodes: nodes.len(),
            lacking: lacking.map(|(_, name)| (*name).clone()).collect(),
            operators: !at.operators.is_subset(&secret.shares),
            spare: secret.shares.iter().any(|key| !nodes.contains_key(key) && !at.operators.contains(key)),
        }
    }

    /// Whether nothing would change if it were sealed anew.
    pub const fn is_current(&self) -> bool {
        self.lacking.is_empty() && !self.operators && !self.spare
    }

    /// In words, for a table.
    pub fn describe(&self, held: &BTreeSet<String>) -> String {
        if !held.is_empty() {
            let names: Vec<&str> = held.iter().map(String::as_str).collect();
            return names.join(", ");
        }
        match self.nodes {
            0 => "no node: no app names it".to_owned(),
            all => format!("{} of {all} nodes", all - self.lacking.len()),
        }
    }
}

/// The nodes that may run an app which gets the secret, by key: those that the apps' plans allow, all for an app
/// without a plan. With `apps` empty, every app whose plan names it is meant.
pub fn nodes<'a>(
    at: &'a SettingsAt,
    secret: &SettingName,
    apps: &BTreeSet<AppName>,
) -> BTreeMap<PublicKey, &'a NodeName> {
    let planned = |app: &AppName| at.apps.iter().find(|planned| planned.app_name == *app);
    let nothing = BTreeMap::new();
    let constraints: Vec<&BTreeMap<String, String>> = if apps.is_empty() {
        let names = |app: &&AppSettings| app.secrets.contains(secret) || app.secrets_before.contains(secret);
        at.apps.iter().filter(names).map(|app| &app.constraints).collect()
    } else {
        apps.iter().map(|app| planned(app).map_or(&nothing, |app| &app.constraints)).collect()
    };
    let may = |labels: &BTreeMap<String, String>| {
        constraints.iter().any(|asked| Constraint::all(asked).all(|one| one.holds(labels)))
    };
    let nodes = at.nodes.iter().filter(|node| may(&node.labels));
    nodes.map(|node| (node.public_key, &node.node_id)).collect()
}

/// What the mesh will say once `app` has a plan with these constraints that names these secrets.
pub fn foresee(at: &SettingsAt, app: &AppSettings) -> SettingsAt {
    let mut next = at.clone();
    next.apps.retain(|planned| planned.app_name != app.app_name);
    next.apps.push(app.clone());
    next
}

#[cfg(test)]
mod tests;
