//! What a spore carries about itself: what it is made of, and where it comes from.
//!
//! These are files of the bundle under fixed names, covered by its signature as every other one. Who puts one in
//! says so with the publisher's key; one that is false, or can't be read, makes the spore one that doesn't run.

mod dsse;
mod provenance;
mod read;
mod sbom;

pub use dsse::{DsseError, Envelope, pae};
pub use provenance::{PREDICATE_TYPE, Provenance, STATEMENT_TYPE};
pub use read::{AttestError, Attestations};
pub use sbom::{Component, SPEC_VERSIONS, Sbom};

/// The path under `files/` of the CycloneDX SBOM.
pub const SBOM: &str = "attest/sbom.cdx.json";
/// The path under `files/` of the provenance: an in-toto statement in a DSSE envelope.
pub const PROVENANCE: &str = "attest/provenance.dsse.json";
/// The path under `files/` of a Sigstore bundle over the publisher's key.
pub const PUBLISHER: &str = "attest/publisher.sigstore.json";

/// The most bytes of any of them.
pub const MAX_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests;
