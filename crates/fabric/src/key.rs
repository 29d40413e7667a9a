//! What a record is about: which mesh, and the key under which only one record holds.

use std::fmt;

use serde::{Deserialize, Serialize};
use types::{Digest, Namespace, NodeName, PublicKey};

use crate::{Kind, RecordName};

/// The identity of a mesh: a record of one is nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeshId(Digest);

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

impl MeshId {
    /// A mesh id from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The id of the mesh that is founded on this key.
    #[must_use]
    pub fn of_root(root: &PublicKey) -> Self {
        Self(Digest::of(&[b"mycelium mesh root\0".as_slice(), root.as_bytes()].concat()))
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for MeshId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
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
