//! Keys of a simulated mesh, derived from numbers.

use crate::node::Node;
use ed25519_dalek::{Signer as _, SigningKey};
use fabric::{Authority, MeshId};
use types::{NodeName, PublicKey, SignError, Signature, Signer};

pub(crate) struct Key(SigningKey);

impl Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).expect("a made key is canonical")
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

fn key(of: &str, number: usize) -> Key {
    let digest = types::Digest::of(format!("{of} {number}").as_bytes());
    Key(SigningKey::from_bytes(digest.as_bytes()))
}

pub(crate) fn operator() -> Key {
    key("operator", 0)
}

pub(crate) fn node(number: usize) -> Key {
    key("node", number)
}

/// One that the mesh doesn't know.
pub(crate) fn stranger() -> Key {
    key("stranger", 0)
}

pub(crate) fn node_name(number: usize) -> NodeName {
    NodeName::new(&format!("node-{number}")).expect("a short name")
}

pub(crate) fn mesh() -> MeshId {
    MeshId::of_genesis(&key("root", 0).public_key(), &key("recovery", 0).public_key())
}

pub(crate) fn authority(nodes: &[Node]) -> Authority {
    Authority {
        operators: [operator().public_key()].into(),
        nodes: nodes.iter().map(|node| (node_name(node.number), node.key)).collect(),
        roots: None,
    }
}
