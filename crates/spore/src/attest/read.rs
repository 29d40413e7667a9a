//! Reading what a spore carries about itself, and checking each against the spore.

use super::{MAX_BYTES, PROVENANCE, PUBLISHER, Provenance, SBOM, Sbom};
use crate::{Spore, SporeError};

/// What a spore carries about itself, checked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attestations {
    /// What it is made of.
    pub sbom: Option<Sbom>,
    /// How and from what it was built, as the publisher says.
    pub provenance: Option<Provenance>,
}

/// Why what a spore says about itself can't be believed.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The machine could not read it, or its bytes are others than the manifest says.
    #[error(transparent)]
    Spore(#[from] SporeError),
    /// It is not what its name says, or is about something else.
    #[error("accept the spore: files/{path}: {problem}")]
    False {
        /// The path under `files/`.
        path: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl Spore {
    /// What it carries about itself; one that is false, or that nobody can read, is an error.
    pub fn attestations(&self) -> Result<Attestations, AttestError> {
        let refused = |path| move |problem| AttestError::False { path, problem };
        let sbom = self.attestation(SBOM)?.map(|bytes| Sbom::read(&bytes)).transpose();
        let provenance = self.attestation(PROVENANCE)?;
        Ok(Attestations {
            sbom: sbom.map_err(refused(SBOM))?,
            provenance: provenance.map(|bytes| Provenance::read(&bytes, self.manifest())).transpose()?,
        })
    }

    /// The Sigstore bundle over its publisher's key, as it stands, if it carries one.
    pub fn publisher_bundle(&self) -> Result<Option<Vec<u8>>, AttestError> {
        self.attestation(PUBLISHER)
    }

    fn attestation(&self, path: &'static str) -> Result<Option<Vec<u8>>, AttestError> {
        match self.file_size(path) {
            None => Ok(None),
            Some(size) if size > MAX_BYTES => {
                Err(AttestError::False { path, problem: format!("{size} bytes are more than {MAX_BYTES}") })
            }
            Some(_) => Ok(self.read_file(path)?),
        }
    }
}
