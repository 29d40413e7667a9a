//! A secret Ed25519 key: made, read and written as PKCS#8 (RFC 5958, RFC 8410), and used to sign.
//!
//! The form is version 1 of PKCS#8, without the public half, since OpenSSL before 3.5 refuses the other.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{self, DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes};
use ed25519_dalek::{Signer as _, SigningKey};
use types::{Fingerprint, PublicKey, SignError, Signature, Signer};
use zeroize::Zeroizing;

/// A secret key. Wiped from memory when dropped; can't be cloned; `Debug` shows the fingerprint only.
pub struct SecretKey {
    /// In one place: moving the bytes about would leave copies that nobody wipes.
    key: Box<SigningKey>,
    public: PublicKey,
}

/// Why a text is not a secret key we can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// Locked with a passphrase.
    #[error(
        "the key is encrypted with a passphrase, which mesh can't ask for; decrypt a copy with: openssl pkey -in KEY -out COPY"
    )]
    Encrypted,
    /// The public half where the secret one belongs.
    #[error("this is a public key; the secret half is needed here")]
    Public,
    /// A key as `ssh-keygen` writes it.
    #[error("this is an OpenSSH key; make one with: mesh keys new")]
    OpenSsh,
    /// A key of another algorithm.
    #[error("the key is not an Ed25519 key (RFC 8410)")]
    Algorithm,
    /// Anything else.
    #[error("this is not a secret key in PKCS#8 PEM (RFC 8410)")]
    Malformed,
}

impl SecretKey {
    /// Makes a key from the system's random source.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(seed.as_mut_slice())?;
            // Fails for no seed that occurs in practice: clamping keeps the scalar off the small-order points.
            if let Some(key) = Self::from_seed(&seed) {
                return Ok(key);
            }
        }
    }

    /// Reads a key from PKCS#8 PEM.
    pub fn from_pem(pem: &str) -> Result<Self, PemError> {
        let key = SigningKey::from_pkcs8_pem(pem).map_err(|error| diagnose(pem, &error))?;
        Self::from_signing(key).ok_or(PemError::Malformed)
    }

    /// The key as PKCS#8 PEM. The text is wiped when dropped; keep it out of anything that is not.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        KeypairBytes { secret_key: self.key.to_bytes(), public_key: None }
            .to_pkcs8_pem(LineEnding::LF)
            .expect("a key of 32 bytes always has a PKCS#8 form")
    }

    /// The short form of the public half, that people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.public.fingerprint()
    }

    /// The 32 bytes the key is made of (RFC 8032 §5.1.5): the secret itself, for who makes the key prove itself in TLS.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The scalar of the same key on the Montgomery form of the curve (RFC 7748 §4.1), for X25519.
    pub(crate) fn x25519(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_scalar_bytes())
    }

    pub(crate) fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Self::from_signing(SigningKey::from_bytes(seed))
    }

    fn from_signing(key: SigningKey) -> Option<Self> {
        let public = PublicKey::from_bytes(key.verifying_key().as_bytes()).ok()?;
        Some(Self { key: Box::new(key), public })
    }
}

impl Signer for SecretKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.key.sign(message).to_bytes()))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public.fingerprint())
    }
}

/// What a person most likely has in hand when the text didn't parse.
fn diagnose(pem: &str, error: &pkcs8::Error) -> PemError {
    let begins = |label: &str| pem.contains(&format!("-----BEGIN {label}-----"));
    if begins("ENCRYPTED PRIVATE KEY") {
        PemError::Encrypted
    } else if begins("PUBLIC KEY") {
        PemError::Public
    } else if begins("OPENSSH PRIVATE KEY") {
        PemError::OpenSsh
    } else if begins("RSA PRIVATE KEY") || begins("EC PRIVATE KEY") || is_other_algorithm(error) {
        PemError::Algorithm
    } else {
        PemError::Malformed
    }
}

fn is_other_algorithm(error: &pkcs8::Error) -> bool {
    matches!(error, pkcs8::Error::PublicKey(pkcs8::spki::Error::OidUnknown { .. }))
}

#[cfg(test)]
mod tests;
