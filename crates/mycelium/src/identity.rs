//! Which mesh this is, and whose signature its operators' records need: `mesh.json` in the state folder.
//!
//! It holds public keys only. It is made once, by whoever holds the first operator's key.

use std::io::{self, Write as _};
use std::path::PathBuf;

use fabric::MeshId;
use serde::{Deserialize, Serialize};
use types::PublicKey;

use crate::Paths;

/// The content of `mesh.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshFile {
    /// The mesh's identity, part of every signature.
    pub mesh: MeshId,
    /// Keys whose plans and budgets are obeyed.
    pub operators: Vec<PublicKey>,
}

/// Why the identity can't be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The file can't be read or written.
    #[error("use {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there, but isn't what it should be.
    #[error("read {}: {reason}", .path.display())]
    Garbage {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No mesh was made in this state folder yet.
    #[error("find a mesh in {}", .0.display())]
    Missing(PathBuf),
}

/// Reads the identity of the mesh in `paths`.
pub fn load(paths: &Paths) -> Result<MeshFile, IdentityError> {
    let path = paths.mesh_file();
    match std::fs::read(&path) {
        Ok(bytes) => types::json::from_slice(&bytes)
            .map_err(|e| IdentityError::Garbage { path, reason: e.to_string() }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(IdentityError::Missing(paths.state.clone())),
        Err(source) => Err(IdentityError::Io { path, source }),
    }
}

/// Reads the identity, or makes one whose operator is `operator`. Says whether it was made.
pub fn ensure(paths: &Paths, operator: &PublicKey) -> Result<(MeshFile, bool), IdentityError> {
    match load(paths) {
        Err(IdentityError::Missing(_)) => {}
        found => return found.map(|file| (file, false)),
    }
    let path = paths.mesh_file();
    let refused = |source| IdentityError::Io { path: path.clone(), source };
    crate::paths::private_dir(&paths.state).map_err(refused)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| refused(io::Error::other(e)))?;
    let file = MeshFile { mesh: MeshId::from_bytes(seed), operators: vec![*operator] };
    let text = serde_json::to_vec_pretty(&file).map_err(|e| refused(e.into()))?;
    let mut temporary = tempfile_in(&paths.state).map_err(refused)?;
    temporary.1.write_all(&text).and_then(|()| temporary.1.sync_all()).map_err(refused)?;
    // A hard link fails where the file exists already: of two first starts one wins, and both use its identity.
    let linked = std::fs::hard_link(&temporary.0, &path);
    std::fs::remove_file(&temporary.0).map_err(refused)?;
    match linked {
        Ok(()) => {
            // Records are signed for this mesh from now on: its name must not go with a power cut.
            std::fs::File::open(&paths.state).and_then(|dir| dir.sync_all()).map_err(refused)?;
            Ok((file, true))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => load(paths).map(|file| (file, false)),
        Err(e) => Err(refused(e)),
    }
}

fn tempfile_in(dir: &std::path::Path) -> io::Result<(PathBuf, std::fs::File)> {
    let path = dir.join(format!(".mesh.json.{}", std::process::id()));
    let file = std::fs::File::create(&path)?;
    Ok((path, file))
}
