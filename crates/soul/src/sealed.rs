//! Sealing: a value under a content key of its own, and that key for each who may open it.
//!
//! The content key is new for each sealing, so its one nonce is zero: the value under it is ChaCha20-Poly1305
//! (RFC 8439). To a node or an operator it is sealed by HPKE in base mode (RFC 9180, DHKEM(X25519, HKDF-SHA256) with
//! ChaCha20-Poly1305), to the X25519 form of their Ed25519 key (RFC 7748 §4.1): one key for signatures and for such a
//! KEM is as safe as two (Thormarker, "On using the same key pair for Ed25519 and an X25519 based KEM", ePrint
//! 2021/509), and nobody has to publish or keep another. A key service elsewhere ([`KeyService`]) wraps it in its own way.
//!
//! Everything is bound to the mesh, the secret's name and its version: a share, or a value, that is moved to
//! another name or version doesn't open.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use genome::Secret;
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_X25519_HKDF_SHA256_CHACHA20_POLY1305 as HPKE;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke as _, HpkePrivateKey, HpkePublicKey};
use types::{AppName, MeshId, PublicKey, SettingName, Signer as _};
use zeroize::Zeroizing;

use crate::SecretKey;

/// The most bytes of one value: with its shares it has to fit into a record.
pub const MAX_SECRET: usize = 32 * 1024;
/// The bytes of an X25519 public key, which is what HPKE encapsulates a secret as.
const ENCAPSULATED: usize = 32;
/// What Poly1305 adds.
const TAG: usize = 16;

/// What a value is encrypted with.
pub type ContentKey = Zeroizing<[u8; 32]>;

/// What becomes a [`Secret`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: SettingName,
    /// Its version.
    pub version: u64,
    /// The apps that may have it.
    pub app_names: BTreeSet<AppName>,
}

/// Who holds a key that opens content keys: the key file of a node or an operator, or a service elsewhere.
pub trait Custodian: Send + Sync {
    /// The content key of `secret`. `bound` is what it was wrapped together with. May block for seconds.
    fn content_key(&self, secret: &Secret, bound: &[u8]) -> Result<ContentKey, UnsealError>;
}

/// A custodian elsewhere, which wraps content keys too (a KMS).
pub trait KeyService: Custodian {
    /// Which service, and which of its keys, as it stands in records.
    fn name(&self) -> &str;

    /// The content key as only this service opens it, together with `bound` only. May block for seconds.
    fn wrap(&self, key: &ContentKey, bound: &[u8]) -> Result<String, ServiceError>;
}

/// A key service that didn't do what it was asked for, and why, for people. It may do it later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ServiceError(pub String);

/// Why a value could not be sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Too large.
    #[error("seal {0}: {1} bytes are more than {MAX_SECRET}")]
    TooLarge(SettingName, usize),
    /// No random bytes, or a key that can't be sealed to.
    #[error("seal {0}: {1}")]
    Crypto(SettingName, String),
    /// The key service.
    #[error("seal {0}: {1}")]
    Service(SettingName, ServiceError),
}

/// Why a secret did not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// There is no share for this key.
    #[error("it is not sealed to this key")]
    NoShare,
    /// What is there was not made for this key, mesh, name and version, or was altered.
    #[error("it does not open: it was altered, or sealed for another mesh, name or version")]
    Altered,
    /// The key service.
    #[error("{0}")]
    Service(#[from] ServiceError),
}

/// Seals `value` to `keys` and by `services`.
pub fn seal(
    mesh: MeshId,
    label: &Label,
    value: &[u8],
    keys: &BTreeSet<PublicKey>,
    services: &[&dyn KeyService],
) -> Result<Secret, SealError> {
    let crypto = |what: &dyn std::fmt::Display| SealError::Crypto(label.name.clone(), what.to_string());
    if value.len() > MAX_SECRET {
        return Err(SealError::TooLarge(label.name.clone(), value.len()));
    }
    let bound = bound(mesh, &label.name, label.version);
    let mut key = ContentKey::default();
    getrandom::fill(key.as_mut_slice()).map_err(|e| crypto(&e))?;
    // Room for all of it from the start: growing would leave copies of the value behind.
    let mut sealed = Zeroizing::new(Vec::with_capacity(value.len() + TAG));
    sealed.extend_from_slice(value);
    aead(&key)
        .seal_in_place_append_tag(nonce(), Aad::from(&bound), &mut *sealed)
        .map_err(|_| crypto(&"it can't be encrypted"))?;
    let shares = keys.iter().map(|to| Ok((*to, share(to, &key, &bound).map_err(|e| crypto(&e))?)));
    let held = services.iter().map(|service| {
        let wrapped = service.wrap(&key, &bound).map_err(|e| SealError::Service(label.name.clone(), e))?;
        Ok((service.name().to_owned(), wrapped))
    });
    Ok(Secret {
        name: label.name.clone(),
        version: label.version,
        app_names: label.app_names.clone(),
        sealed: STANDARD.encode(&*sealed),
        shares: shares.collect::<Result<BTreeMap<_, _>, SealError>>()?,
        held: held.collect::<Result<BTreeMap<_, _>, SealError>>()?,
    })
}

/// The value of `secret`, by the first of `custodians` that has its content key.
pub fn unseal(
    mesh: MeshId,
    secret: &Secret,
    custodians: &[&dyn Custodian],
) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let bound = bound(mesh, &secret.name, secret.version);
    let mut why = UnsealError::NoShare;
    for custodian in custodians {
        match custodian.content_key(secret, &bound) {
            Ok(key) => return open(&key, &bound, secret),
            // What a custodian that is asked in vain says is of more use than that another has no share.
            Err(UnsealError::NoShare) => {}
            Err(other) => why = other,
        }
    }
    Err(why)
}

impl Custodian for SecretKey {
    fn content_key(&self, secret: &Secret, bound: &[u8]) -> Result<ContentKey, UnsealError> {
        let share = secret.shares.get(&self.public_key()).ok_or(UnsealError::NoShare)?;
        let share = STANDARD.decode(share).map_err(|_| UnsealError::Altered)?;
        let (encapsulated, wrapped) = share.split_at_checked(ENCAPSULATED).ok_or(UnsealError::Altered)?;
        let encapsulated = EncapsulatedSecret(encapsulated.to_vec());
        let key = HpkePrivateKey::from(self.x25519().to_vec());
        let opened = HPKE.open(&encapsulated, bound, &[], wrapped, &key).map_err(|_| UnsealError::Altered)?;
        content_key(&Zeroizing::new(opened))
    }
}

/// A content key that came as bytes.
pub fn content_key(bytes: &[u8]) -> Result<ContentKey, UnsealError> {
    let key: &[u8; 32] = bytes.try_into().map_err(|_| UnsealError::Altered)?;
    Ok(Zeroizing::new(*key))
}

fn share(to: &PublicKey, key: &ContentKey, bound: &[u8]) -> Result<String, String> {
    let point = ed25519_dalek::VerifyingKey::from_bytes(to.as_bytes()).map_err(|e| e.to_string())?;
    let to = HpkePublicKey(point.to_montgomery().to_bytes().to_vec());
    let sealed = HPKE.seal(bound, &[], key.as_slice(), &to);
    let (EncapsulatedSecret(mut share), wrapped) = sealed.map_err(|e| e.to_string())?;
    share.extend(wrapped);
    Ok(STANDARD.encode(share))
}

fn open(key: &ContentKey, bound: &[u8], secret: &Secret) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    let mut value = Zeroizing::new(STANDARD.decode(&secret.sealed).map_err(|_| UnsealError::Altered)?);
    let opened = aead(key).open_in_place(nonce(), Aad::from(bound), &mut value);
    let length = opened.map_err(|_| UnsealError::Altered)?.len();
    value.truncate(length);
    Ok(value)
}

fn aead(key: &ContentKey) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key.as_slice()).expect("a key of 32 bytes is one"))
}

/// A content key encrypts one value, once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// What everything is bound to: lengths are fixed but for the last, so no two can be the same bytes.
fn bound(mesh: MeshId, name: &SettingName, version: u64) -> Vec<u8> {
    [b"mycelium secret 1\0", mesh.as_bytes().as_slice(), &version.to_be_bytes(), name.as_str().as_bytes()]
        .concat()
}

#[cfg(test)]
mod tests;
