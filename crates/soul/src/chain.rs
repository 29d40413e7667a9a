//! Chains: what a node shows to be let in, its membership and the certificate of the issuer that signed it.
//!
//! Expiry keeps strangers out at admission; it never cuts members off from each other. So there are two
//! questions: [`Chain::verify`] of somebody new, and [`Chain::verify_known`] of a node that was let in before.

use std::collections::BTreeSet;
use std::time::Duration;

use types::{MeshId, NodeName, PublicKey, Timestamp};

use crate::certificate::MAX_MEMBERSHIP_LIFE;
use crate::wire::{self, FormError, Reader};
use crate::{Certificate, Role, Roots};

/// By how much two clocks may differ: a certificate of the future is believed this much early, and an expired
/// one this much longer. The five minutes of Kerberos (RFC 4120 §8.2), little against a day of life.
pub const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// A membership and its issuer's certificate; in binary form one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Signed by the issuer.
    pub membership: Certificate,
    /// Signed by a root.
    pub issuer: Certificate,
}

/// Who a verified chain is about. That the peer holds this key is for the channel to prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The node's key. Compare it with the key of the peer that showed the chain: chains are no secret.
    pub key: PublicKey,
    /// The node's name. Two issuers may have given it to two keys: whoever knows another node of that name
    /// refuses this one.
    pub name: NodeName,
    /// Who let it in.
    pub issuer: PublicKey,
    /// Until when a stranger believes it.
    pub expires: Timestamp,
}

/// Why a chain isn't believed: its message is for the logs of both sides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is of another mesh.
    #[error("it belongs to the mesh {0}")]
    OtherMesh(MeshId),
    /// A membership where an issuer's certificate belongs, or the reverse.
    #[error("its {0} certificate is of another kind")]
    Role(Part),
    /// The membership was signed by somebody else than the issuer whose certificate is beside it.
    #[error("its membership was signed by {0}, whose certificate isn't there")]
    OtherIssuer(PublicKey),
    /// The issuer was made by a key that never was a root of this mesh.
    #[error("its issuer {issuer} was made by {root}, which is no root of this mesh")]
    Root {
        /// The issuer.
        issuer: PublicKey,
        /// Who made it one.
        root: PublicKey,
    },
    /// The issuer was made by a root that has been replaced since.
    #[error("its issuer {0} was made by a root that has been replaced; ask an issuer of the new one")]
    ReplacedRoot(PublicKey),
    /// It was altered.
    #[error("the signature of its {0} certificate doesn't hold")]
    Signature(Part),
    /// It doesn't hold yet.
    #[error("its {0} certificate holds only from {1}; is a clock wrong?")]
    NotYet(Part, Timestamp),
    /// It holds no longer.
    #[error("its {0} certificate expired at {1}")]
    Expired(Part, Timestamp),
    /// It claims a longer life than any membership has.
    #[error("its membership would hold for longer than {} days", MAX_MEMBERSHIP_LIFE.as_secs() / 86_400)]
    TooLong,
    /// An operator revoked a key.
    #[error("the key {1} of its {0} certificate was revoked")]
    Revoked(Part, PublicKey),
}

/// Which of the two certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The node's.
    Membership,
    /// Its issuer's.
    Issuer,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Membership => "membership",
            Self::Issuer => "issuer",
        })
    }
}

impl Chain {
    /// Whether a stranger with this chain is a member: signed by an issuer of the root that holds now, both
    /// certificates in their time. Ask [`Chain::check_revoked`] as well.
    pub fn verify(&self, roots: &Roots, now: Timestamp) -> Result<Member, Refusal> {
        let member = self.verify_known(roots)?;
        if self.issuer.signer != roots.root() {
            return Err(Refusal::ReplacedRoot(member.issuer));
        }
        for (part, certificate) in [(Part::Issuer, &self.issuer), (Part::Membership, &self.membership)] {
            if now + CLOCK_SKEW < certificate.not_before {
                return Err(Refusal::NotYet(part, certificate.not_before));
            }
            if certificate.not_after + CLOCK_SKEW < now {
                return Err(Refusal::Expired(part, certificate.not_after));
            }
        }
        if self.membership.not_after.since(self.membership.not_before) > MAX_MEMBERSHIP_LIFE {
            return Err(Refusal::TooLong);
        }
        Ok(member)
    }

    /// Whether the chain was ever good: under any root the mesh had, whatever the time is.
    ///
    /// Enough for a key that was let in before, is remembered under this name, and isn't revoked. Never enough
    /// for a stranger: whoever stole an old root can make such a chain.
    pub fn verify_known(&self, roots: &Roots) -> Result<Member, Refusal> {
        let member = self.claims(roots.mesh())?;
        if !roots.was_root(&self.issuer.signer) {
            return Err(Refusal::Root { issuer: member.issuer, root: self.issuer.signer });
        }
        self.check_signatures()?;
        Ok(member)
    }

    /// The part of [`Chain::verify_known`] that takes time and knows no roots. Enough for nothing until
    /// [`Roots::was_root`] has been asked about the signer of the issuer's certificate.
    pub fn verify_signed(&self, mesh: MeshId) -> Result<Member, Refusal> {
        let member = self.claims(mesh)?;
        self.check_signatures()?;
        Ok(member)
    }

    /// What it says, if that can be meant at all.
    fn claims(&self, mesh: MeshId) -> Result<Member, Refusal> {
        if let Some(other) = [self.issuer.mesh, self.membership.mesh].into_iter().find(|m| *m != mesh) {
            return Err(Refusal::OtherMesh(other));
        }
        if self.issuer.role != Role::Issuer {
            return Err(Refusal::Role(Part::Issuer));
        }
        let Role::Member(name) = &self.membership.role else {
            return Err(Refusal::Role(Part::Membership));
        };
        let issuer = self.issuer.subject;
        if self.membership.signer != issuer {
            return Err(Refusal::OtherIssuer(self.membership.signer));
        }
        let (key, expires) = (self.membership.subject, self.membership.not_after.min(self.issuer.not_after));
        Ok(Member { key, name: name.clone(), issuer, expires })
    }

    fn check_signatures(&self) -> Result<(), Refusal> {
        if !self.issuer.is_signed() {
            return Err(Refusal::Signature(Part::Issuer));
        }
        if !self.membership.is_signed() {
            return Err(Refusal::Signature(Part::Membership));
        }
        Ok(())
    }

    /// Whether an operator revoked the node or its issuer. Keys are revoked, not serials: a certificate is
    /// soon replaced by the next one, and it is the key that was stolen.
    ///
    /// Of a known member look at its own key only: a revoked issuer lets nobody in any more, but whom it let
    /// in before is a member until revoked itself.
    pub fn check_revoked(&self, revoked: &BTreeSet<PublicKey>) -> Result<(), Refusal> {
        let keys = [(Part::Membership, self.membership.subject), (Part::Issuer, self.issuer.subject)];
        match keys.into_iter().find(|(_, key)| revoked.contains(key)) {
            Some((part, key)) => Err(Refusal::Revoked(part, key)),
            None => Ok(()),
        }
    }

    /// When to ask for the next membership: at half its life, or at once after its root was replaced.
    #[must_use]
    pub fn renew_at(&self, roots: &Roots) -> Timestamp {
        if self.issuer.signer == roots.root() { self.membership.half_life() } else { Timestamp::default() }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        self.membership.put(out);
        self.issuer.put(out);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormError> {
        Ok(Self { membership: Certificate::read(reader)?, issuer: Certificate::read(reader)? })
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
}

#[cfg(test)]
mod tests;
