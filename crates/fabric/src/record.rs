//! Record: the signed immutable envelope in which everything travels and is stored.
//!
//! A `Record` is well formed but proves nothing yet; [`Record::verify`] makes a [`crate::Verified`] of it.

use std::time::Duration;

use genome::{
    Budget, Config, Drain, Identity, Issuer, Operator, Plan, Policy, Revoke, RootChange, Secret, Trust,
};
use types::{Digest, PublicKey, Signature, Signer, Timestamp};

use crate::{Draft, DraftError, Key, Kind, MeshId, Order, Owner, Rank, RecordName, WireError, wire};

/// The most bytes of payload.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// How long a tombstone is kept: a node that was away for less learns of every removal, see [`crate::Absence`].
pub const TOMBSTONE_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

/// A signed record: made by [`Draft::sign`], or read by [`Record::decode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub(crate) draft: Draft,
    pub(crate) writer: PublicKey,
    pub(crate) signature: Signature,
    pub(crate) id: Digest,
}

impl Record {
    /// A plan of `generation` (the highest ever seen of the app, and one), in the default namespace.
    pub fn plan(mesh: MeshId, generation: u64, plan: &Plan, signer: &dyn Signer) -> Result<Self, DraftError> {
        plan.validate()?;
        let name = RecordName::of_app(&plan.app_name);
        Draft::of_operator(mesh, Kind::Plan, name, generation).value(plan)?.sign(signer)
    }

    /// A budget of `generation`, in the default namespace.
    pub fn budget(
        mesh: MeshId,
        generation: u64,
        budget: &Budget,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        budget.validate()?;
        let name = RecordName::of_app(&budget.app_name);
        Draft::of_operator(mesh, Kind::Budget, name, generation).value(budget)?.sign(signer)
    }

    /// A trusted publisher, in the default namespace.
    pub fn trust(
        mesh: MeshId,
        generation: u64,
        trust: &Trust,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        trust.validate()?;
        let name = RecordName::of_key(&trust.public_key);
        Draft::of_operator(mesh, Kind::Trust, name, generation).value(trust)?.sign(signer)
    }

    /// The root that holds now; `signer` is that root.
    pub fn root(
        mesh: MeshId,
        generation: u64,
        root: &RootChange,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        root.validate()?;
        let name = RecordName::of_root();
        Draft::of_operator(mesh, Kind::Root, name, generation).value(root)?.sign(signer)
    }

    /// An operator, or one who was; `signer` is the root.
    pub fn operator(
        mesh: MeshId,
        generation: u64,
        operator: &Operator,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        operator.validate()?;
        let name = RecordName::of_key(&operator.public_key);
        Draft::of_operator(mesh, Kind::Operator, name, generation).value(operator)?.sign(signer)
    }

    /// An issuer; `signer` is the root.
    pub fn issuer(
        mesh: MeshId,
        generation: u64,
        issuer: &Issuer,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        issuer.validate()?;
        let name = RecordName::of_key(&issuer.public_key);
        Draft::of_operator(mesh, Kind::Issuer, name, generation).value(issuer)?.sign(signer)
    }

    /// A node's key that is out for good; `signer` is an operator.
    pub fn revoke(
        mesh: MeshId,
        generation: u64,
        revoke: &Revoke,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        revoke.validate()?;
        let name = RecordName::of_key(&revoke.public_key);
        Draft::of_operator(mesh, Kind::Revoke, name, generation).value(revoke)?.sign(signer)
    }

    /// A node that is to be emptied; `signer` is an operator.
    pub fn drain(
        mesh: MeshId,
        generation: u64,
        drain: &Drain,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        drain.validate()?;
        let name = RecordName::of_node(&drain.node_id);
        Draft::of_operator(mesh, Kind::Drain, name, generation).value(drain)?.sign(signer)
    }

    /// A rule over what may run; `signer` is an operator.
    pub fn policy(
        mesh: MeshId,
        generation: u64,
        policy: &Policy,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        policy.validate()?;
        let name = RecordName::of_app(&policy.name);
        Draft::of_operator(mesh, Kind::Policy, name, generation).value(policy)?.sign(signer)
    }

    /// A secret, sealed already; `signer` is an operator.
    pub fn secret(
        mesh: MeshId,
        generation: u64,
        secret: &Secret,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        secret.validate()?;
        let name = RecordName::of_setting(&secret.name);
        Draft::of_operator(mesh, Kind::Secret, name, generation).value(secret)?.sign(signer)
    }

    /// A config; `signer` is an operator.
    pub fn config(
        mesh: MeshId,
        generation: u64,
        config: &Config,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        config.validate()?;
        let name = RecordName::of_setting(&config.name);
        Draft::of_operator(mesh, Kind::Config, name, generation).value(config)?.sign(signer)
    }

    /// Who may vouch for publishers' keys; `signer` is an operator.
    pub fn identity(
        mesh: MeshId,
        generation: u64,
        identity: &Identity,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        identity.validate()?;
        let name = RecordName::of_app(&identity.name);
        Draft::of_operator(mesh, Kind::Identity, name, generation).value(identity)?.sign(signer)
    }

    /// The removal of what an operator wrote under `name`, in the default namespace.
    pub fn remove(
        mesh: MeshId,
        kind: Kind,
        name: RecordName,
        generation: u64,
        now: Timestamp,
        signer: &dyn Signer,
    ) -> Result<Self, DraftError> {
        Draft::of_operator(mesh, kind, name, generation).removal(now + TOMBSTONE_LIFE).sign(signer)
    }

    /// Reads the canonical binary form (see [`Record::encode`]); anything else is refused. Verifies nothing.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        wire::decode(bytes)
    }

    /// The canonical binary form; the layout is described in the source of `wire`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// What identifies it: the SHA-256 of everything that is signed.
    #[must_use]
    pub const fn id(&self) -> Digest {
        self.id
    }

    /// What it is about.
    #[must_use]
    pub const fn key(&self) -> &Key {
        &self.draft.key
    }

    /// The mesh it belongs to.
    #[must_use]
    pub const fn mesh(&self) -> MeshId {
        self.draft.mesh
    }

    /// The key that signed it.
    #[must_use]
    pub const fn writer(&self) -> PublicKey {
        self.writer
    }

    /// The writer's own count.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.draft.order
    }

    /// Its place among all records of its key.
    #[must_use]
    pub const fn rank(&self) -> Rank {
        Rank { order: self.draft.order, id: self.id }
    }

    /// When it ends, if it does by itself.
    #[must_use]
    pub const fn expires(&self) -> Option<Timestamp> {
        self.draft.expires
    }

    /// What it says, in JSON; nothing when it is a removal.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.draft.payload.as_deref()
    }

    /// Whether an operator wrote it.
    #[must_use]
    pub fn is_operators(&self) -> bool {
        self.draft.key.owner == Owner::Operator
    }
}
