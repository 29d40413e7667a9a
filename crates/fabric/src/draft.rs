//! Draft: a record before it is signed, for those who hold a key.

use serde::Serialize;
use types::{Namespace, NodeName, SignError, Signer, Timestamp};

use crate::{Key, Kind, MeshId, Order, Owner, Record, RecordName, WireError, wire};

/// Everything of a record that a signature covers, except whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The mesh it is for.
    pub mesh: MeshId,
    /// What it is about.
    pub key: Key,
    /// The writer's own count.
    pub order: Order,
    /// When it ends by itself. A removal must end.
    pub expires: Option<Timestamp>,
    /// What it says, in JSON; nothing makes it a removal.
    pub payload: Option<Vec<u8>>,
}

/// Why a record could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DraftError {
    /// The content can't be meant.
    #[error("write the record: {0}")]
    Invalid(#[from] genome::Invalid),
    /// The envelope can't be written.
    #[error("write the record: {0}")]
    Wire(#[from] WireError),
    /// The signer refused.
    #[error("sign the record: {0}")]
    Sign(#[from] SignError),
    /// The content has no JSON form.
    #[error("write the record: {0}")]
    Json(String),
}

impl Draft {
    /// An operator's record of the default namespace; still without content.
    #[must_use]
    pub fn of_operator(mesh: MeshId, kind: Kind, name: RecordName, generation: u64) -> Self {
        let key = Key { kind, namespace: Namespace::default(), owner: Owner::Operator, name };
        Self { mesh, key, order: Order::generation(generation), expires: None, payload: None }
    }

    /// A node's record of the default namespace; still without content.
    #[must_use]
    pub fn of_node(mesh: MeshId, kind: Kind, node: NodeName, name: RecordName, order: Order) -> Self {
        let key = Key { kind, namespace: Namespace::default(), owner: Owner::Node(node), name };
        Self { mesh, key, order, expires: None, payload: None }
    }

    /// Puts it into another namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace) -> Self {
        self.key.namespace = namespace;
        self
    }

    /// Makes it say `value`.
    pub fn value(mut self, value: &impl Serialize) -> Result<Self, DraftError> {
        self.payload = Some(serde_json::to_vec(value).map_err(|e| DraftError::Json(e.to_string()))?);
        Ok(self)
    }

    /// Makes it a removal that is kept until `expires`.
    #[must_use]
    pub fn removal(mut self, expires: Timestamp) -> Self {
        self.expires = Some(expires);
        self.payload = None;
        self
    }

    /// Signs it.
    pub fn sign(self, signer: &dyn Signer) -> Result<Record, DraftError> {
        wire::check_shape(&self)?;
        let writer = signer.public_key();
        let message = wire::message(&self, &writer);
        let signature = signer.sign(&message)?;
        Ok(Record { id: types::Digest::of(&message), draft: self, writer, signature })
    }
}
