//! What every binary form of admission is made of: one meaning has one form, and every other is refused.
//!
//! ```text
//! numbers     big-endian
//! key         32 bytes         Ed25519 public key, canonical, not of small order
//! name        u8 n, n bytes    a DNS label
//! time        u64              Unix milliseconds, up to the year 9999
//! extensions  u16 n, n bytes   n is at most 512; inside, any number of: u8 tag, u16 m, m bytes; tags rise strictly
//! ```
//! Each form starts with its version (u16) and ends with extensions (and the signature, where there is one).
//! Extensions are how a later version says more to an earlier one: tags up to 127 may be ignored, and are
//! carried on, since the signature covers them; tags from 128 restrict what stands before, so whoever
//! doesn't know one refuses the whole. This version writes none and knows none. The version number changes
//! only when everybody who doesn't know the new one has to refuse it.

use types::{MeshId, NodeName, PublicKey, Signature, Timestamp};

/// The version of all forms that this code reads and writes.
pub(crate) const VERSION: u16 = 1;
/// All extensions of one form, in bytes: room for sixteen keys, and still a certificate fits in a packet.
pub(crate) const MAX_EXTENSIONS: usize = 512;
/// The first tag that must be understood.
const CRITICAL: u8 = 128;

/// Why some bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A version of somebody newer, or nonsense.
    #[error("its version is {0}, this program knows {VERSION}")]
    Version(u16),
    /// It ends in the middle of a field.
    #[error("it ends within its {0}")]
    Truncated(&'static str),
    /// Bytes after its end.
    #[error("{0} bytes follow its end")]
    Trailing(usize),
    /// A field that is not in canonical form, or out of bounds.
    #[error("its {0} is not in canonical form")]
    Field(&'static str),
    /// An extension of a later version that may not be ignored.
    #[error("it says something that only a newer program understands (extension {0})")]
    Extension(u8),
}

/// Reads all of `bytes` as one thing.
pub(crate) fn whole<T>(
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, FormError>,
) -> Result<T, FormError> {
    let mut reader = Reader(bytes);
    let value = read(&mut reader)?;
    if reader.0.is_empty() { Ok(value) } else { Err(FormError::Trailing(reader.0.len())) }
}

pub(crate) fn put_version(out: &mut Vec<u8>) {
    out.extend_from_slice(&VERSION.to_be_bytes());
}

pub(crate) fn put_name(out: &mut Vec<u8>, name: &NodeName) {
    out.push(u8::try_from(name.as_str().len()).expect("a DNS label has at most 63 bytes"));
    out.extend_from_slice(name.as_str().as_bytes());
}

pub(crate) fn put_time(out: &mut Vec<u8>, time: Timestamp) {
    out.extend_from_slice(&time.as_millis().to_be_bytes());
}

pub(crate) fn put_extensions(out: &mut Vec<u8>, extensions: &[u8]) {
    out.extend_from_slice(&u16::try_from(extensions.len()).expect("at most 512").to_be_bytes());
    out.extend_from_slice(extensions);
}

/// The rest of the input; never reads past it, never allocates before it has checked.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize, field: &'static str) -> Result<&'a [u8], FormError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(FormError::Truncated(field))?;
        self.0 = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], FormError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(FormError::Truncated(field))?;
        self.0 = rest;
        Ok(*head)
    }

    pub fn u8(&mut self, field: &'static str) -> Result<u8, FormError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    pub fn u16(&mut self, field: &'static str) -> Result<u16, FormError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub fn u64(&mut self, field: &'static str) -> Result<u64, FormError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub fn version(&mut self) -> Result<(), FormError> {
        match self.u16("version")? {
            VERSION => Ok(()),
            other => Err(FormError::Version(other)),
        }
    }

    pub fn mesh(&mut self) -> Result<MeshId, FormError> {
        self.array("mesh id").map(MeshId::from_bytes)
    }

    pub fn key(&mut self, field: &'static str) -> Result<PublicKey, FormError> {
        PublicKey::from_bytes(self.take(32, field)?).map_err(|_| FormError::Field(field))
    }

    pub fn signature(&mut self) -> Result<Signature, FormError> {
        self.array("signature").map(Signature::from_bytes)
    }

    pub fn name(&mut self) -> Result<NodeName, FormError> {
        let length = usize::from(self.u8("name")?);
        let text = std::str::from_utf8(self.take(length, "name")?);
        text.ok().and_then(|text| NodeName::new(text).ok()).ok_or(FormError::Field("name"))
    }

    pub fn time(&mut self, field: &'static str) -> Result<Timestamp, FormError> {
        let millis = self.u64(field)?;
        let time = Timestamp::from_millis(millis);
        if time.as_millis() == millis { Ok(time) } else { Err(FormError::Field(field)) }
    }

    /// Extensions as they stand, to be carried on.
    pub fn extensions(&mut self) -> Result<Vec<u8>, FormError> {
        let length = usize::from(self.u16("extensions")?);
        if length > MAX_EXTENSIONS {
            return Err(FormError::Field("extensions"));
        }
        let all = self.take(length, "extensions")?;
        let (mut inner, mut least) = (Reader(all), 0);
        while !inner.0.is_empty() {
            let tag = inner.u8("extensions")?;
            if u16::from(tag) < least {
                return Err(FormError::Field("extensions"));
            }
            if tag >= CRITICAL {
                return Err(FormError::Extension(tag));
            }
            least = u16::from(tag) + 1;
            let length = usize::from(inner.u16("extensions")?);
            inner.take(length, "extensions")?;
        }
        Ok(all.to_vec())
    }
}

#[cfg(test)]
mod tests;
