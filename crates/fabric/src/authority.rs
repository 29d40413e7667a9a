//! Authority: whose signature counts.
//!
//! On one machine its configuration says so. In a mesh of many machines it follows from the roots and from records,
//! level by level: the root makes operators, operators revoke nodes, and a node's own record proves that it was
//! let in. Nobody reaches a level above, so no two records exclude each other, and the same records give the same
//! authority everywhere (see `core::rules`).

use std::collections::{BTreeMap, BTreeSet};

use soul::Roots;
use types::{NodeName, PublicKey};

/// Who may write what. Compared with every record before it is stored.
///
/// Given to a store it is what holds without any record; asked of a store it is what holds with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// The keys of operators: plans, budgets, trust. With roots leave it empty: an operator that stands here and
    /// whose record is lost to a change of the root would be one again.
    pub operators: BTreeSet<PublicKey>,
    /// Each node's key: what that node says about itself.
    pub nodes: BTreeMap<NodeName, PublicKey>,
    /// The mesh's roots, as its papers have them. Without them no record adds to the above.
    pub roots: Option<Roots>,
}
