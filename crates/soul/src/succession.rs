//! Successions: how a mesh gets another root, when the old one is lost or stolen.
//!
//! ```text
//! version     u16       1
//! mesh        32 bytes
//! generation  u64       1 or more; higher than that of the succession before
//! root        key       the root from now on
//! recovery    key       the recovery key from now on; another one than the root
//! signer      key       the recovery key until now
//! extensions
//! signature   64 bytes  Ed25519 by the signer, over DOMAIN and all of the above
//! ```

use types::{MeshId, PublicKey, Signature, Signer};

use crate::wire::{self, FormError, Reader};
use crate::{IssueError, Roots};

/// What a signature of a succession covers first, so that it is good for nothing else.
const DOMAIN: &[u8] = b"mycelium succession\0";

/// A message of the recovery key: from now on this is the root. [`Roots::apply`] says whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// The mesh it is about.
    pub mesh: MeshId,
    /// Rises with every succession; the highest holds.
    pub generation: u64,
    /// The root from now on.
    pub root: PublicKey,
    /// The recovery key from now on.
    pub recovery: PublicKey,
    /// The recovery key that says so.
    pub signer: PublicKey,
    pub(crate) extensions: Vec<u8>,
    signature: Signature,
}

impl Succession {
    /// The succession after `roots`: `root` takes over, and `recovery` is what can replace it in turn.
    ///
    /// `signer` is the recovery key until now. Either key may stay what it was. Nothing is checked here but
    /// what [`Roots::apply`] checks: try it before the message leaves the machine.
    pub fn sign(
        roots: &Roots,
        root: PublicKey,
        recovery: PublicKey,
        signer: &dyn Signer,
    ) -> Result<Self, IssueError> {
        let (mesh, generation) = (roots.mesh(), roots.generation().saturating_add(1));
        let (extensions, signature) = (Vec::new(), Signature::from_bytes([0; 64]));
        let key = signer.public_key();
        Self { mesh, generation, root, recovery, signer: key, extensions, signature }.signed(signer)
    }

    /// The same, signed by `signer`: sense or nonsense.
    pub(crate) fn signed(mut self, signer: &dyn Signer) -> Result<Self, IssueError> {
        self.signer = signer.public_key();
        self.signature = signer.sign(&self.message())?;
        Ok(self)
    }

    /// Whether its signer signed exactly this. Whether the signer may is another question.
    pub(crate) fn is_signed(&self) -> bool {
        self.signer.verify(&self.message(), &self.signature).is_ok()
    }

    /// Its one binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    /// Reads the binary form, and nothing else. What was read isn't believed yet.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormError> {
        wire::whole(bytes, Self::read)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.put_signed(out);
        out.extend_from_slice(self.signature.as_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormError> {
        reader.version()?;
        let (mesh, generation) = (reader.mesh()?, reader.u64("generation")?);
        if generation == 0 {
            return Err(FormError::Field("generation"));
        }
        let (root, recovery) = (reader.key("root")?, reader.key("recovery key")?);
        let signer = reader.key("signer")?;
        let (extensions, signature) = (reader.extensions()?, reader.signature()?);
        Ok(Self { mesh, generation, root, recovery, signer, extensions, signature })
    }

    fn message(&self) -> Vec<u8> {
        let mut out = DOMAIN.to_vec();
        self.put_signed(&mut out);
        out
    }

    fn put_signed(&self, out: &mut Vec<u8>) {
        wire::put_version(out);
        out.extend_from_slice(self.mesh.as_bytes());
        out.extend_from_slice(&self.generation.to_be_bytes());
        out.extend_from_slice(self.root.as_bytes());
        out.extend_from_slice(self.recovery.as_bytes());
        out.extend_from_slice(self.signer.as_bytes());
        wire::put_extensions(out, &self.extensions);
    }
}
