//! What the unit tests of admission share: fixed keys, one mesh, its papers.

use types::{MeshId, NodeName, PublicKey, Signer as _, Timestamp};

use crate::{Certificate, Chain, Genesis, ISSUER_LIFE, MEMBERSHIP_LIFE, Role, Roots, SecretKey};

/// Whose keys are whose, by their seeds.
pub(crate) const ROOT: u8 = 1;
pub(crate) const RECOVERY: u8 = 2;
pub(crate) const ISSUER: u8 = 3;
pub(crate) const NODE: u8 = 4;
pub(crate) const OTHER: u8 = 5;
pub(crate) const NEW_ROOT: u8 = 6;
pub(crate) const NEW_RECOVERY: u8 = 7;

pub(crate) const NOW: Timestamp = crate::fuzzing::NOW;

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

pub(crate) fn public(seed: u8) -> PublicKey {
    key(seed).public_key()
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(crate) fn genesis() -> Genesis {
    Genesis::new(public(ROOT), public(RECOVERY)).unwrap()
}

pub(crate) fn roots() -> Roots {
    Roots::new(genesis())
}

pub(crate) fn mesh() -> MeshId {
    genesis().mesh()
}

pub(crate) fn issuer_certificate() -> Certificate {
    let mut certificate =
        Certificate::for_issuer(mesh(), public(ISSUER), &key(ROOT), NOW, ISSUER_LIFE).unwrap();
    certificate.serial = 0x0123_4567_89ab_cdef;
    certificate.signed(&key(ROOT)).unwrap()
}

pub(crate) fn membership() -> Certificate {
    let dates = (NOW, NOW + MEMBERSHIP_LIFE);
    let role = Role::Member(name("node-1"));
    let mut certificate = Certificate::sign(mesh(), role, public(NODE), &key(ISSUER), dates).unwrap();
    certificate.serial = 7;
    certificate.signed(&key(ISSUER)).unwrap()
}

/// That of `node-1`, whose key is [`NODE`].
pub(crate) fn chain() -> Chain {
    Chain { membership: membership(), issuer: issuer_certificate() }
}

/// An extension that may be ignored, and one that must be understood.
pub(crate) const IGNORABLE: [u8; 6] = [1, 0, 3, b'a', b'b', b'c'];
pub(crate) const CRITICAL: [u8; 3] = [128, 0, 0];

/// Bytes with one bit, several bits, and all bits changed in each place, and cut off, and with more.
pub(crate) fn alterations(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let changed = (0..bytes.len()).flat_map(|at| {
        [0x01, 0x80, 0xff].map(|bits| {
            let mut changed = bytes.to_vec();
            changed[at] ^= bits;
            changed
        })
    });
    changed.chain((0..bytes.len()).map(|end| bytes[..end].to_vec())).chain([[bytes, &[0]].concat()])
}
