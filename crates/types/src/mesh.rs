//! The identity of a mesh: 32 bytes that stand in everything signed for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, PublicKey};

/// The identity of a mesh: what is signed for one is nothing in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MeshId(Digest);

impl MeshId {
    /// A mesh id from its 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Digest::from_bytes(bytes))
    }

    /// The id of the mesh that is founded on these two keys: its first root, and the one that can replace it.
    ///
    /// Whoever knows the id can check both, so neither can be exchanged afterwards.
    #[must_use]
    pub fn of_genesis(root: &PublicKey, recovery: &PublicKey) -> Self {
        let founded_on = [b"mycelium mesh genesis\0".as_slice(), root.as_bytes(), recovery.as_bytes()];
        Self(Digest::of(&founded_on.concat()))
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
