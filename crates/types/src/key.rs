//! Ed25519 identities (RFC 8032): public keys, signatures, and who can make them.
//!
//! Verification is strict: canonical points, no small-order keys, no malleable signatures, so that
//! two nodes never disagree on whether a signature holds (Chalkias et al., "Taming the many EdDSAs").

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};

use crate::Digest;

/// An Ed25519 public key that is a canonical point of full order; written in base64 (44 characters).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

/// Why some bytes or a text are not a usable public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not base64 (RFC 4648 §4, padded, canonical).
    #[error("the public key is not base64")]
    NotBase64,
    /// A wrong number of bytes.
    #[error("the public key has {0} bytes instead of 32")]
    Length(usize),
    /// The bytes are not the canonical encoding of a point on the curve.
    #[error("the public key is not a canonical point of the curve")]
    NotCanonical,
    /// One of the eight points for which signatures can be forged.
    #[error("the public key is of small order: anyone could sign for it")]
    SmallOrder,
}

/// An Ed25519 signature of 64 bytes; written in base64 (88 characters).
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

/// Why a signature doesn't hold, or isn't one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not base64 (RFC 4648 §4, padded, canonical).
    #[error("the signature is not base64")]
    NotBase64,
    /// A wrong number of bytes.
    #[error("the signature has {0} bytes instead of 64")]
    Length(usize),
    /// It was not made by this key over these bytes.
    #[error("the signature does not hold for this content and key")]
    Mismatch,
}

/// How a person compares keys: `SHA256:` and the base64 of the key's SHA-256, as OpenSSH prints it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
pub struct Fingerprint(String);

/// Something that can sign: a key file now; a KMS or a hardware token later.
pub trait Signer {
    /// The key that verifies what [`Signer::sign`] makes.
    fn public_key(&self) -> PublicKey;

    /// Signs `message` as it stands (PureEdDSA).
    fn sign(&self, message: &[u8]) -> Result<Signature, SignError>;
}

/// A signer that could not sign, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the signer refused: {0}")]
pub struct SignError(pub String);

impl PublicKey {
    /// Checks 32 bytes: canonical, on the curve, not of small order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let array: [u8; 32] = bytes.try_into().map_err(|_| KeyError::Length(bytes.len()))?;
        let key = VerifyingKey::from_bytes(&array).map_err(|_| KeyError::NotCanonical)?;
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        if key.to_edwards().compress().to_bytes() != array {
            return Err(KeyError::NotCanonical);
        }
        Ok(Self(array))
    }

    /// The 32 raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` was made by this key over `message`, strictly (RFC 8032 §5.1.7, cofactorless).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> Result<(), SignatureError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| SignatureError::Mismatch)?;
        key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0))
            .map_err(|_| SignatureError::Mismatch)
    }

    /// The short form that people compare.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(format!("SHA256:{}", STANDARD_NO_PAD.encode(Digest::of(&self.0).as_bytes())))
    }
}

impl Signature {
    /// Wraps 64 bytes; whether they hold is for [`PublicKey::verify`] to say.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// The 64 raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&STANDARD.decode(text).map_err(|_| KeyError::NotBase64)?)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let bytes = STANDARD.decode(text).map_err(|_| SignatureError::NotBase64)?;
        let length = bytes.len();
        bytes.try_into().map(Self).map_err(|_| SignatureError::Length(length))
    }
}

macro_rules! text_form {
    ($type:ident, $error:ident, $description:literal) => {
        impl TryFrom<String> for $type {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "contentEncoding": "base64", "description": $description
                })
            }
        }
    };
}

text_form!(PublicKey, KeyError, "Ed25519 public key, 32 bytes in base64");
text_form!(Signature, SignatureError, "Ed25519 signature, 64 bytes in base64");
