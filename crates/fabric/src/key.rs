//! What a record is about: the key under which only one record holds.

use std::fmt;

use types::{Namespace, NodeName};

use crate::{Kind, RecordName};

/// In whose name a record is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Any operator of the mesh.
    Operator,
    /// This node, and nobody else.
    Node(NodeName),
}

/// The place of a record: of all records with one key, one holds.
///
/// The owner is part of it, so that no node can take a name of an operator or of another node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What the payload is.
    pub kind: Kind,
    /// The namespace of the name.
    pub namespace: Namespace,
    /// In whose name it is written.
    pub owner: Owner,
    /// The name within kind, namespace and owner.
    pub name: RecordName,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("an operator"),
            Self::Node(node) => write!(f, "node {node}"),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace == Namespace::default() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}:{}", self.kind, self.namespace, self.name)
        }
    }
}
