//! A node's papers on disk, in one folder: what it is in its mesh, and how it knows.
//!
//! | file | holds | missing means |
//! |---|---|---|
//! | `roots.pem` | the genesis, and the successions since | the mesh has no genesis |
//! | `chain.pem` | the node's membership and its issuer's certificate | it isn't a member |
//! | `issuer.pem` | what the root signed, if this node is an issuer | it is none |
//!
//! The texts are those of [`crate::armor`]. They are replaced whole, synced, and hold no secret. The secret keys of
//! root and recovery are key files like any other ([`crate::KeyStore`]), and belong on another machine.

use std::path::{Path, PathBuf};

use types::MeshId;

use crate::armor::{MAX_TEXT, PaperError};
use crate::files::{Locked, io_error, make_private_dir, read_bounded};
use crate::{Certificate, Chain, FileError, Roots};

const ROOTS: &str = "roots.pem";
const CHAIN: &str = "chain.pem";
const ISSUER: &str = "issuer.pem";

/// A node's papers.
#[derive(Debug, Clone)]
pub struct Papers {
    dir: PathBuf,
}

/// Why a paper could not be put into the folder.
#[derive(Debug, thiserror::Error)]
pub enum PapersError {
    /// The node is in another mesh.
    #[error("keep the roots of the mesh {new} in {}: this node is in the mesh {old}", dir.display())]
    OtherMesh {
        /// The folder.
        dir: PathBuf,
        /// The mesh whose roots are there.
        old: MeshId,
        /// The mesh whose roots should have been put there.
        new: MeshId,
    },
    /// There are newer roots.
    #[error("keep roots of generation {new}: {} holds generation {old}, and none goes back", dir.display())]
    Older {
        /// The folder.
        dir: PathBuf,
        /// The generation that is there.
        old: u64,
        /// The generation that should have been put there.
        new: u64,
    },
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
}

impl Papers {
    /// Opens a folder, made (0700) if it isn't there.
    pub fn open(dir: &Path) -> Result<Self, FileError> {
        make_private_dir(dir).map_err(io_error("create the folder", dir))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// The mesh's roots.
    pub fn roots(&self) -> Result<Option<Roots>, FileError> {
        self.read(ROOTS, Roots::from_pem)
    }

    /// Keeps the mesh's roots; never those of another mesh, never fewer successions than there are.
    pub fn keep_roots(&self, roots: &Roots) -> Result<(), PapersError> {
        let locked = self.lock()?;
        if let Some(kept) = self.roots()? {
            let dir = self.dir.clone();
            if kept.genesis() != roots.genesis() {
                return Err(PapersError::OtherMesh { dir, old: kept.mesh(), new: roots.mesh() });
            }
            if kept.generation() > roots.generation() {
                return Err(PapersError::Older { dir, old: kept.generation(), new: roots.generation() });
            }
        }
        Ok(self.write(&locked, ROOTS, &roots.to_pem())?)
    }

    /// The node's chain. What was read isn't verified.
    pub fn chain(&self) -> Result<Option<Chain>, FileError> {
        self.read(CHAIN, Chain::from_pem)
    }

    /// Keeps the node's chain, in place of the one before.
    pub fn keep_chain(&self, chain: &Chain) -> Result<(), FileError> {
        self.write(&self.lock()?, CHAIN, &chain.to_pem())
    }

    /// The certificate that makes this node an issuer. What was read isn't verified.
    pub fn issuer(&self) -> Result<Option<Certificate>, FileError> {
        self.read(ISSUER, Certificate::from_pem)
    }

    /// Keeps the certificate that makes this node an issuer, in place of the one before.
    pub fn keep_issuer(&self, certificate: &Certificate) -> Result<(), FileError> {
        self.write(&self.lock()?, ISSUER, &certificate.to_pem())
    }

    fn read<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, PaperError>,
    ) -> Result<Option<T>, FileError> {
        let path = self.dir.join(name);
        let Some(bytes) = read_bounded(&path, MAX_TEXT as u64)? else {
            return Ok(None);
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| PaperError::NotPem);
        match text.and_then(parse) {
            Ok(paper) => Ok(Some(paper)),
            Err(error) => Err(FileError::Malformed { path, reason: error.to_string() }),
        }
    }

    fn lock(&self) -> Result<Locked, FileError> {
        Locked::take(&self.dir).map_err(io_error("lock the folder", &self.dir))
    }

    fn write(&self, locked: &Locked, name: &str, text: &str) -> Result<(), FileError> {
        let path = self.dir.join(name);
        locked.replace(name, text.as_bytes(), 0o644).map_err(io_error("write", &path))
    }
}
