//! What a spore's signature covers, and whether it holds.
//!
//! The message is SHA-256 over the canonical form (JCS, RFC 8785) of the manifest without
//! `signature`, followed by the 32 raw bytes of `binary_sha256`. It is the *parsed document* that is
//! canonicalised, so fields this version doesn't know are covered as well.

use serde_json::{Map, Value};
use types::{Digest, SignError, Signature, SignatureError, Signer};

use crate::Manifest;
use crate::hash::Sha256;

/// The manifest's key that the signature can't cover.
pub(crate) const SIGNATURE: &str = "signature";

/// Signs `document` (its `signature`, if any, is left out) for a binary of digest `binary`.
pub(crate) fn sign(
    document: &Map<String, Value>,
    binary: &Digest,
    signer: &dyn Signer,
) -> Result<Signature, SignError> {
    signer.sign(message(document, binary).as_bytes())
}

/// Whether the manifest's signature was made by its public key over all of it.
pub(crate) fn check(manifest: &Manifest) -> Result<(), SignatureError> {
    let message = message(manifest.document(), &manifest.binary_sha256);
    manifest.public_key.verify(message.as_bytes(), &manifest.signature)
}

fn message(document: &Map<String, Value>, binary: &Digest) -> Digest {
    let mut covered = document.clone();
    covered.remove(SIGNATURE);
    let canonical = serde_json_canonicalizer::to_vec(&covered).expect("finite JSON always canonicalises");
    let mut hash = Sha256::default();
    hash.update(&canonical);
    hash.update(binary.as_bytes());
    hash.finish()
}
