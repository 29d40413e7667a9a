//! The list of records in quarantine, in a file of its own.

use std::io;
use std::path::{Path, PathBuf};

use types::Digest;

use crate::api::Quarantined;

/// So many are kept out; then the oldest get another chance.
const MAX_LISTED: usize = 1024;

pub(super) struct List {
    path: PathBuf,
    all: Vec<Quarantined>,
}

impl List {
    /// Reads it. One that can't be understood is an error: it keeps out what ended this node.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let all = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let what = format!("{}: {error} (remove it to release all that it lists)", path.display());
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), all })
    }

    pub(super) fn all(&self) -> &[Quarantined] {
        &self.all
    }

    pub(super) fn has(&self, id: &Digest) -> bool {
        self.all.iter().any(|one| one.id == *id)
    }

    /// They are listed even where that can't be written down.
    pub(super) fn add(&mut self, new: &[Quarantined]) -> io::Result<()> {
        let mut all: Vec<_> =
            self.all.iter().filter(|one| new.iter().all(|new| new.id != one.id)).cloned().collect();
        all.extend_from_slice(new);
        all.drain(..all.len().saturating_sub(MAX_LISTED));
        self.all = all;
        crate::identity::keep(&self.path, &self.all)
    }

    pub(super) fn remove(&mut self, id: &Digest) -> io::Result<bool> {
        if !self.has(id) {
            return Ok(false);
        }
        let all: Vec<_> = self.all.iter().filter(|one| one.id != *id).cloned().collect();
        crate::identity::keep(&self.path, &all)?;
        self.all = all;
        Ok(true)
    }
}
