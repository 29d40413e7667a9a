//! Certificates: the root says who may admit nodes, and they say who is one.
//!
//! ```text
//! version     u16         1
//! mesh        32 bytes
//! signer      key         the root | the issuer
//! role        u8 1        an issuer
//!           | u8 2, name  a member of the mesh, under this name
//! subject     key         whose certificate it is
//! serial      u64         random: it tells two of one subject apart in a log, nothing is decided by it
//! not_before  time
//! not_after   time        later than not_before
//! extensions
//! signature   64 bytes    Ed25519 by the signer, over DOMAIN and all of the above
//! ```
//! (Parts: see [`crate::wire`].) A certificate alone says nothing: [`crate::Chain`] is what can be verified.

use std::time::Duration;

use types::{MeshId, NodeName, PublicKey, Signature, Signer, Timestamp};

use crate::IssueError;
use crate::wire::{self, FormError, Reader};

/// How long a membership holds. A day: a machine that was thrown away without being revoked is a stranger
/// tomorrow, and every issuer may be gone for half of that before a renewal is late.
pub const MEMBERSHIP_LIFE: Duration = Duration::from_hours(24);
/// No membership that claims to hold longer is believed, so that a stolen issuer can't make lasting ones.
pub const MAX_MEMBERSHIP_LIFE: Duration = Duration::from_hours(7 * 24);
/// How long an issuer holds unless the operator wants otherwise: the root has to leave its safe once a year.
pub const ISSUER_LIFE: Duration = Duration::from_hours(365 * 24);
/// What a signature of a certificate covers first, so that it is good for nothing else.
const DOMAIN: &[u8] = b"mycelium certificate\0";

/// A signed statement of what a key is in a mesh. To change a field is to break the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The mesh it is about.
    pub mesh: MeshId,
    /// Who signed it: a root, or an issuer.
    pub signer: PublicKey,
    /// What its subject is.
    pub role: Role,
    /// Whose it is.
    pub subject: PublicKey,
    /// Tells it apart from others of the same subject, in logs.
    pub serial: u64,
    /// It holds from then on.
    pub not_before: Timestamp,
    /// It holds until then.
    pub not_after: Timestamp,
    pub(crate) extensions: Vec<u8>,
    signature: Signature,
}

/// What the subject of a certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It may sign memberships.
    Issuer,
    /// It is the node of this name.
    Member(NodeName),
}

impl Certificate {
    /// Makes `subject` an issuer of `mesh`, from `now` for `life`, in the name of the root.
    pub fn for_issuer(
        mesh: MeshId,
        subject: PublicKey,
        root: &dyn Signer,
        now: Timestamp,
        life: Duration,
    ) -> Result<Self, IssueError> {
        Self::sign(mesh, Role::Issuer, subject, root, (now, now + life))
    }

    pub(crate) fn sign(
        mesh: MeshId,
        role: Role,
        subject: PublicKey,
        signer: &dyn Signer,
        (not_before, not_after): (Timestamp, Timestamp),
    ) -> Result<Self, IssueError> {
        if not_after <= not_before {
            return Err(IssueError::NoLife);
        }
        let serial = getrandom::u64().map_err(|e| IssueError::Random(e.to_string()))?;
        let (extensions, signature) = (Vec::new(), Signature::from_bytes([0; 64]));
        let key = signer.public_key();
        Self { mesh, signer: key, role, subject, serial, not_before, not_after, extensions, signature }
            .signed(signer)
    }

    /// The same, signed by `signer`: sense or nonsense, it is for the readers to decide what they believe.
    pub(crate) fn signed(mut self, signer: &dyn Signer) -> Result<Self, IssueError> {
        self.signer = signer.public_key();
        self.signature = signer.sign(&self.message())?;
        Ok(self)
    }

    /// Whether its signer signed exactly this. Whether the signer may is another question.
    pub(crate) fn is_signed(&self) -> bool {
        self.signer.verify(&self.message(), &self.signature).is_ok()
    }

    /// When half of its time is over: time to renew it.
    #[must_use]
    pub fn half_life(&self) -> Timestamp {
        self.not_before + self.not_after.since(self.not_before) / 2
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
        let mesh = reader.mesh()?;
        let signer = reader.key("signer")?;
        let role = match reader.u8("role")? {
            1 => Role::Issuer,
            2 => Role::Member(reader.name()?),
            _ => return Err(FormError::Field("role")),
        };
        let subject = reader.key("subject")?;
        let serial = reader.u64("serial")?;
        let (not_before, not_after) = (reader.time("start")?, reader.time("end")?);
        if not_after <= not_before {
            return Err(FormError::Field("end"));
        }
        let (extensions, signature) = (reader.extensions()?, reader.signature()?);
        Ok(Self { mesh, signer, role, subject, serial, not_before, not_after, extensions, signature })
    }

    fn message(&self) -> Vec<u8> {
        let mut out = DOMAIN.to_vec();
        self.put_signed(&mut out);
        out
    }

    fn put_signed(&self, out: &mut Vec<u8>) {
        wire::put_version(out);
        out.extend_from_slice(self.mesh.as_bytes());
        out.extend_from_slice(self.signer.as_bytes());
        match &self.role {
            Role::Issuer => out.push(1),
            Role::Member(name) => {
                out.push(2);
                wire::put_name(out, name);
            }
        }
        out.extend_from_slice(self.subject.as_bytes());
        out.extend_from_slice(&self.serial.to_be_bytes());
        wire::put_time(out, self.not_before);
        wire::put_time(out, self.not_after);
        wire::put_extensions(out, &self.extensions);
    }
}

#[cfg(test)]
mod tests;
