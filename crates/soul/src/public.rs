//! Public keys as text: SPKI PEM (RFC 8410), as `openssl pkey -pubout` writes it, or the manifest's base64.

use ed25519_dalek::pkcs8::PublicKeyBytes;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::spki::{DecodePublicKey as _, EncodePublicKey as _};
use types::{KeyError, PublicKey};

/// Why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// A secret key, where a public one belongs. Nothing of it was kept.
    #[error(
        "read a public key: this is a secret key; give its .pub file, or the key that `mesh keys list` shows"
    )]
    Secret,
    /// PEM, but not of an Ed25519 public key.
    #[error("read a public key: this PEM block holds no Ed25519 public key (RFC 8410)")]
    NotEd25519,
    /// 32 bytes that nobody should believe, or no key at all.
    #[error("read a public key: {0}")]
    Unusable(#[from] KeyError),
}

/// The key as a PEM block, what stands in a `.pub` file.
#[must_use]
pub fn public_key_to_pem(key: &PublicKey) -> String {
    PublicKeyBytes(*key.as_bytes())
        .to_public_key_pem(LineEnding::LF)
        .expect("a key of 32 bytes always has an SPKI form")
}

/// Reads a key as people paste it: the content of a `.pub` file, or 44 characters of base64.
pub fn public_key_from_text(text: &str) -> Result<PublicKey, PublicKeyError> {
    let text = text.trim();
    if !text.contains("-----BEGIN ") {
        return Ok(text.parse::<PublicKey>()?);
    }
    if text.contains("PRIVATE KEY-----") {
        return Err(PublicKeyError::Secret);
    }
    let bytes = PublicKeyBytes::from_public_key_pem(text).map_err(|_| PublicKeyError::NotEd25519)?;
    Ok(PublicKey::from_bytes(&bytes.0)?)
}
