//! Joining again: a node that its mesh has removed comes back with a new key. What made it the node that it was is set
//! aside, and put back when it isn't let in; spores, logs and everything else in the state folder stay where they are.

use std::io;
use std::path::{Path, PathBuf};

use types::MeshId;

use super::{MemberError, NodeFile, check_free};
use crate::clock::SystemClock;
use crate::{Paths, StartError};

/// What was set aside.
pub(super) struct Before {
    folder: PathBuf,
    files: Vec<PathBuf>,
}

impl Before {
    /// Makes room for joining `mesh` under the name that this machine has there; nothing where there is room already.
    /// Whether it may is the issuer's to say: the name is free once the key before it was revoked.
    pub(super) fn set_aside(
        paths: &Paths,
        node: &NodeFile,
        mesh: MeshId,
    ) -> Result<Option<Self>, MemberError> {
        let Err(taken) = check_free(paths) else { return Ok(None) };
        let same_node = NodeFile::load(paths)?.is_some_and(|before| before.name == node.name);
        if !same_node || !matches!(taken, MemberError::Taken { mesh: held, .. } if held == mesh) {
            return Err(taken);
        }
        let folder = paths.state.join(format!("before-{}", SystemClock.now().as_millis()));
        let files =
            vec![paths.mesh_file(), paths.node_file(), paths.papers(), paths.node_keys(), paths.journal()];
        let before = Self { folder, files };
        before.put_aside().map_err(|source| before.failure(source))?;
        Ok(Some(before))
    }

    fn put_aside(&self) -> io::Result<()> {
        std::fs::create_dir(&self.folder)?;
        self.files
            .iter()
            .filter(|file| file.exists())
            .try_for_each(|file| std::fs::rename(file, self.aside(file)))
    }

    /// Puts it back, over whatever took its place.
    pub(super) fn put_back(&self) -> Result<(), MemberError> {
        let back = |file: &PathBuf| {
            let aside = self.aside(file);
            if !aside.exists() {
                return Ok(());
            }
            if file.is_dir() {
                std::fs::remove_dir_all(file)?;
            }
            std::fs::rename(aside, file)
        };
        // `mesh.json` last: with it, the folder holds a mesh.
        let put = self.files.iter().rev().try_for_each(back);
        put.and_then(|()| std::fs::remove_dir(&self.folder)).map_err(|source| self.failure(source))
    }

    fn aside(&self, file: &Path) -> PathBuf {
        self.folder.join(file.file_name().expect("each is a file of the state folder"))
    }

    fn failure(&self, source: io::Error) -> MemberError {
        StartError::State { path: self.folder.clone(), source }.into()
    }
}
