//! Verified: a record whose signature holds and whose content makes sense. Nothing else gets into the store.

use crate::value::{self, Value};
use crate::{MeshId, Record, Refused, wire};

/// A record that proves by itself who wrote it for this mesh, and says something valid. Whether that writer
/// may is the store's to say.
///
/// This is the slow part of taking a record (an Ed25519 check), and needs no lock.
#[derive(Debug, Clone)]
pub struct Verified {
    record: Record,
    value: Value,
}

impl Record {
    /// Checks mesh, signature (strict, RFC 8032), and content: schema, validity, and that it is about what
    /// the envelope names.
    pub fn verify(self, mesh: &MeshId) -> Result<Verified, Refused> {
        let key = || self.key().to_string();
        if self.mesh() != *mesh {
            return Err(Refused::OtherMesh { key: key() });
        }
        let message = wire::message(&self.draft, &self.writer);
        self.writer
            .verify(&message, &self.signature)
            .map_err(|error| Refused::Signature { key: key(), error })?;
        let value = value::read(&self).map_err(|reason| Refused::Content { key: key(), reason })?;
        Ok(Verified { record: self, value })
    }
}

impl Verified {
    /// The record.
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) const fn value(&self) -> &Value {
        &self.value
    }
}
