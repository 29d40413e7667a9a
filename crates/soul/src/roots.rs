//! Roots: on which key a mesh was founded, and which one holds now.
//!
//! A mesh is founded on two keys, the [`Genesis`], from which its id follows. The root signs issuers. The
//! recovery key signs nothing but [`Succession`]s, and belongs in another safe than the root. Both are
//! ordinary key files ([`crate::KeyStore`]), to be carried away as soon as they have signed.
//!
//! Of successions the highest generation holds, and an older one never comes back. Two of one generation,
//! signed apart, are a conflict that nothing here can decide: whoever has one keeps it and refuses the other
//! (taking the later, or the one with the higher hash, would give the mesh to a thief of a recovery key that
//! was exchanged long ago), and one more succession above both settles it.
//!
//! After a succession no stranger is let in on the word of an issuer that an old root signed. Members that
//! are known stay members ([`crate::Chain::verify_known`]): so a lost root cuts nobody off, and all renew as
//! soon as the new root has signed an issuer.

use types::{MeshId, PublicKey};

use crate::Succession;
use crate::wire::{self, FormError, Reader};

/// More successions than a mesh will ever need; it bounds what a peer may send.
pub const MAX_SUCCESSIONS: usize = 32;

/// What a mesh was founded on. Its binary form: version (u16, 1), root (key), recovery (key).
///
/// The mesh id is the hash of both keys, so there is nothing to sign, and nothing can ever be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Genesis {
    root: PublicKey,
    recovery: PublicKey,
}

/// The genesis of a mesh and the successions since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    genesis: Genesis,
    successions: Vec<Succession>,
}

/// Why two keys can't found a mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("found a mesh: the root and the recovery key are the same key, so that who loses one loses both")]
pub struct SameKey;

/// Why a succession doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// It is about another mesh.
    #[error("take a succession: it is of the mesh {0}")]
    OtherMesh(MeshId),
    /// The key that signed it isn't the recovery key.
    #[error("take a succession: {0} isn't the mesh's recovery key")]
    Signer(PublicKey),
    /// It was altered.
    #[error("take a succession: its signature doesn't hold")]
    Signature,
    /// Root and recovery would be one key.
    #[error("take a succession: its root and its recovery key are the same key")]
    SameKey,
    /// What an older root signed would be believed again.
    #[error("take a succession: its root {0} was replaced before")]
    Replaced(PublicKey),
    /// Two were signed apart.
    #[error(
        "take a succession: there is another of generation {0}, signed apart; sign one more, above both, with the recovery key"
    )]
    Conflict(u64),
    /// There are too many.
    #[error("take a succession: there are {MAX_SUCCESSIONS} already, and no more are supported")]
    TooMany,
}

impl Genesis {
    /// Founds a mesh on two different keys.
    pub fn new(root: PublicKey, recovery: PublicKey) -> Result<Self, SameKey> {
        if root == recovery { Err(SameKey) } else { Ok(Self { root, recovery }) }
    }

    /// The first root.
    #[must_use]
    pub const fn root(&self) -> &PublicKey {
        &self.root
    }

    /// The first key that can replace the root.
    #[must_use]
    pub const fn recovery(&self) -> &PublicKey {
        &self.recovery
    }

    /// The mesh that is founded on it.
    #[must_use]
    pub fn mesh(&self) -> MeshId {
        MeshId::of_genesis(&self.root, &self.recovery)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        wire::whole(bytes, Self::read)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        wire::put_version(out);
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(self.recovery.as_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormError> {
        reader.version()?;
        let (root, recovery) = (reader.key("root")?, reader.key("recovery key")?);
        Self::new(root, recovery).map_err(|SameKey| FormError::Field("recovery key"))
    }
}

impl Roots {
    /// A mesh whose first root still holds.
    #[must_use]
    pub const fn new(genesis: Genesis) -> Self {
        Self { genesis, successions: Vec::new() }
    }

    /// What the mesh was founded on.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The mesh.
    #[must_use]
    pub fn mesh(&self) -> MeshId {
        self.genesis.mesh()
    }

    /// The successions that were applied, oldest first: give them to whoever joins.
    #[must_use]
    pub fn successions(&self) -> &[Succession] {
        &self.successions
    }

    /// The generation of the last succession; 0 where there was none.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.successions.last().map_or(0, |last| last.generation)
    }

    /// The key that makes issuers.
    #[must_use]
    pub fn root(&self) -> PublicKey {
        self.successions.last().map_or(self.genesis.root, |last| last.root)
    }

    /// The key that can replace the root.
    #[must_use]
    pub fn recovery(&self) -> PublicKey {
        self.successions.last().map_or(self.genesis.recovery, |last| last.recovery)
    }

    /// Whether `key` is the root, or was before it was replaced.
    #[must_use]
    pub fn was_root(&self, key: &PublicKey) -> bool {
        self.genesis.root == *key || self.successions.iter().any(|s| s.root == *key)
    }

    /// Follows a succession; whether it changed anything. An older one than the last changes nothing.
    pub fn apply(&mut self, succession: &Succession) -> Result<bool, SuccessionError> {
        if succession.mesh != self.mesh() {
            return Err(SuccessionError::OtherMesh(succession.mesh));
        }
        let rival = self.successions.last().filter(|last| last.generation == succession.generation);
        if rival == Some(succession) || (rival.is_none() && succession.generation <= self.generation()) {
            return Ok(false);
        }
        if succession.signer != rival.map_or(self.recovery(), |rival| rival.signer) {
            return Err(SuccessionError::Signer(succession.signer));
        }
        if !succession.is_signed() {
            return Err(SuccessionError::Signature);
        }
        if rival.is_some() {
            return Err(SuccessionError::Conflict(succession.generation));
        }
        if succession.root == succession.recovery {
            return Err(SuccessionError::SameKey);
        }
        if succession.root != self.root() && self.was_root(&succession.root) {
            return Err(SuccessionError::Replaced(succession.root));
        }
        if self.successions.len() >= MAX_SUCCESSIONS {
            return Err(SuccessionError::TooMany);
        }
        self.successions.push(succession.clone());
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
