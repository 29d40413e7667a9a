//! Which mesh this is, and whose signature its operators' records need: `mesh.json` in the state folder.
//!
//! It holds public keys only. It is made once, by whoever holds the first operator's key.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

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
    create(paths, &MeshFile { mesh: MeshId::from_bytes(seed), operators: vec![*operator] })
}

/// Makes this the identity of the mesh in `paths`, unless there is one. Says which one it is, and whether it was made.
pub(crate) fn create(paths: &Paths, file: &MeshFile) -> Result<(MeshFile, bool), IdentityError> {
    let path = paths.mesh_file();
    let refused = |source| IdentityError::Io { path: path.clone(), source };
    let temporary = write_beside(&path, file).map_err(refused)?;
    // A hard link fails where the file exists already: of two first starts one wins, and both use its identity.
    let linked = std::fs::hard_link(&temporary, &path);
    std::fs::remove_file(&temporary).map_err(refused)?;
    match linked {
        Ok(()) => {
            // Records are signed for this mesh from now on: its name must not go with a power cut.
            sync_folder(&path).map_err(refused)?;
            Ok((file.clone(), true))
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => load(paths).map(|file| (file, false)),
        Err(e) => Err(refused(e)),
    }
}

/// Writes a JSON file whole, synced, in place of what was there.
pub fn keep(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let temporary = write_beside(path, content)?;
    std::fs::rename(&temporary, path)?;
    sync_folder(path)
}

/// Writes and syncs a file that is to take the place of `path`.
fn write_beside(path: &Path, content: &impl Serialize) -> io::Result<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(&serde_json::to_vec_pretty(content)?)?;
    file.sync_all()?;
    Ok(temporary)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::File::open(folder).and_then(|dir| dir.sync_all())
}
