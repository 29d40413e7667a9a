//! Papers in payloads: what soul can read of them without knowing the mesh's roots.

use genome::{Issuer, Member, RootChange};
use soul::{Certificate, Chain, Role, Succession};
use types::{MeshId, Timestamp};

/// A node's membership as its record shows it: whole and signed, by whatever root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Who it is about: the node's key and name, its issuer, and until when a stranger believes it.
    pub member: soul::Member,
    /// The proof.
    pub chain: Chain,
}

/// A root and how it came to be.
#[derive(Debug, Clone)]
pub(crate) struct RootPapers {
    pub(crate) successions: Vec<Succession>,
    pub(crate) change: RootChange,
}

impl Membership {
    /// Since when the node can have been let in by this issuer. A stolen issuer that dates its certificates back
    /// gets no farther than to its own.
    pub(crate) fn since(&self) -> Timestamp {
        self.chain.membership.not_before.max(self.chain.issuer.not_before)
    }
}

impl RootPapers {
    /// The generation of the last succession.
    pub(crate) fn generation(&self) -> u64 {
        self.successions.last().map_or(0, |last| last.generation)
    }
}

pub(super) fn root(change: RootChange, mesh: MeshId) -> Result<RootPapers, String> {
    let read = |text: &String| Succession::from_pem(text).map_err(|e| format!("its succession: {e}"));
    let successions: Vec<Succession> = change.successions.iter().map(read).collect::<Result<_, _>>()?;
    if successions.iter().any(|succession| succession.mesh != mesh) {
        return Err("its succession is of another mesh".into());
    }
    if !successions.is_sorted_by(|before, after| before.generation < after.generation) {
        return Err("its successions don't follow each other".into());
    }
    Ok(RootPapers { successions, change })
}

pub(super) fn issuer(issuer: &Issuer, mesh: MeshId) -> Result<(), String> {
    let certificate =
        Certificate::from_pem(&issuer.certificate).map_err(|e| format!("its certificate: {e}"))?;
    if certificate.mesh != mesh {
        return Err("its certificate is of another mesh".into());
    }
    if certificate.role != Role::Issuer || certificate.subject != issuer.public_key {
        return Err("its certificate makes no issuer of that key".into());
    }
    Ok(())
}

pub(super) fn member(member: &Member, mesh: MeshId) -> Result<Membership, String> {
    let chain = Chain::from_pem(&member.chain).map_err(|e| format!("its chain: {e}"))?;
    let proved = chain.verify_signed(mesh).map_err(|e| format!("its chain isn't good: {e}"))?;
    if proved.name != member.node_id {
        return Err(format!("its chain is about node {}", proved.name));
    }
    Ok(Membership { member: proved, chain })
}
