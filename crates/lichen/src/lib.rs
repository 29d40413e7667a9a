//! Lichen: living by another kingdom's trust (field term: verification of Sigstore bundles), offline.
//!
//! A bundle says that somebody whom an identity provider knows by a name signed something, and that a public log has
//! it written down. Here it is asked whether all of that holds under a root that was given: the certificate's chain,
//! its timestamp in the certificate log, the signature, the time, the log's entry, its proof of inclusion and its
//! signed checkpoint, and who it was. The work is `sigstore-verify`'s; nothing is fetched, no root is built in, and
//! nothing can be left out. Whom to believe is for the caller to say.

use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::Bundle;
use sigstore_verify::{VerificationPolicy, Verifier};

/// The most bytes of a bundle.
pub const MAX_BUNDLE_BYTES: usize = 1 << 20;
/// The most bytes of a root: one has to fit into a record.
pub const MAX_ROOT_BYTES: usize = 48 << 10;

/// The authorities that are believed: `trusted_root.json`, as `cosign` and TUF have it.
pub struct Root(Verifier);

/// Who must have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The subject of the certificate, exactly: an e-mail address, or the URI of a workflow.
    pub identity: &'a str,
    /// Who knew them by that name: the identity provider's URL, exactly.
    pub issuer: &'a str,
}

/// Why a bundle is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no trusted root that can be used.
    #[error("the trusted root can't be used: {0}")]
    Root(String),
    /// It is no bundle.
    #[error("it is no Sigstore bundle: {0}")]
    Bundle(String),
    /// It doesn't hold, for this artifact, this root and this identity.
    #[error("the Sigstore bundle does not hold: {0}")]
    False(String),
}

impl Root {
    /// Reads a root; one without certificate authorities or logs verifies nothing, and is refused.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let text = text(bytes, MAX_ROOT_BYTES).map_err(Refusal::Root)?;
        let root = guarded(|| TrustedRoot::from_json(text)).map_err(Refusal::Root)?;
        for (what, none) in [
            ("certificate authority", root.certificate_authorities.is_empty()),
            ("transparency log", root.tlogs.is_empty()),
            ("certificate log", root.ctlogs.is_empty()),
        ] {
            if none {
                return Err(Refusal::Root(format!("it names no {what}")));
            }
        }
        guarded(|| Verifier::new(&root)).map(Self).map_err(Refusal::Root)
    }
}

/// Whether `bundle` says that `expected` signed what `artifact` gives. Reads it to its end, in constant memory.
pub fn verify(bundle: &[u8], artifact: impl Read, root: &Root, expected: Expected) -> Result<(), Refusal> {
    let text = text(bundle, MAX_BUNDLE_BYTES).map_err(Refusal::Bundle)?;
    let bundle = guarded(|| Bundle::from_json(text)).map_err(Refusal::Bundle)?;
    // A log's word of when counts with its proof that the entry is in it, and a bundle without either is none.
    let entries = &bundle.verification_material.tlog_entries;
    if entries.is_empty() || entries.iter().any(|entry| entry.inclusion_proof.is_none()) {
        return Err(Refusal::False("it holds no proof that a transparency log has it".to_owned()));
    }
    let policy = VerificationPolicy::new(expected.identity, expected.issuer);
    let found = guarded(|| root.0.verify_reader(artifact, &bundle, &policy)).map_err(Refusal::False)?;
    // Asked once more: what must have been looked at is not left to what a policy means today.
    let whole = found.certificate_verified()
        && found.sct_verified()
        && found.tlog_verified()
        && found.identity_policy_checked()
        && !found.verified_timestamps().is_empty();
    if whole { Ok(()) } else { Err(Refusal::False("a part of it could not be verified".to_owned())) }
}

fn text(bytes: &[u8], most: usize) -> Result<&str, String> {
    if bytes.len() > most {
        return Err(format!("{} bytes are more than {most}", bytes.len()));
    }
    std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// What others' readers do with others' bytes: an error, a panic included, is a text here.
fn guarded<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err("its reader panicked".to_owned()),
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").finish_non_exhaustive()
    }
}
