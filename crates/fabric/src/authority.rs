//! Authority: whose signature counts, as the mesh's admission (on one machine: its configuration) says.

use std::collections::{BTreeMap, BTreeSet};

use types::{NodeName, PublicKey};

use crate::{Owner, Record};

/// Who may write what. Compared with every record before it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// The keys of operators: plans, budgets, trust.
    pub operators: BTreeSet<PublicKey>,
    /// Each node's key: what that node says about itself.
    pub nodes: BTreeMap<NodeName, PublicKey>,
}

impl Authority {
    /// Whether `record` was written by a key that may write in its owner's name.
    #[must_use]
    pub fn permits(&self, record: &Record) -> bool {
        match &record.key().owner {
            Owner::Operator => self.operators.contains(&record.writer()),
            Owner::Node(node) => self.nodes.get(node) == Some(&record.writer()),
        }
    }
}
