//! Opening a spore: structure, manifest, signature; then, when asked, content.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use types::Digest;

use crate::archive::{self, Entry, FILES, MANIFEST, local_header};
use crate::extract::{self, Extracted};
use crate::{Manifest, SporeError, seal, stream};

/// A spore whose structure and signature hold; its content is checked by [`Spore::verify`] or [`Spore::extract`].
#[derive(Debug)]
pub struct Spore {
    file: File,
    size: u64,
    entries: Vec<Entry>,
    manifest: Manifest,
    manifest_bytes: Vec<u8>,
}

/// Opens a spore: checks every header, that the manifest names exactly what is there, and the signature.
///
/// No content but the manifest is read, so this costs the same for any size.
pub fn open(file: File) -> Result<Spore, SporeError> {
    let metadata = file.metadata().map_err(SporeError::Read)?;
    if !metadata.is_file() {
        return Err(SporeError::NotAFile);
    }
    let size = metadata.len();
    let entries = archive::read(&file, size)?;
    let manifest_bytes = manifest_bytes(&file, &entries[0])?;
    let manifest = Manifest::from_slice(&manifest_bytes)?;
    same_files(&entries, &manifest)?;
    seal::check(&manifest)?;
    Ok(Spore { file, size, entries, manifest, manifest_bytes })
}

impl Spore {
    /// The manifest, whose signature holds. Whether its signer is trusted is for the caller to ask.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bytes of the whole file.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The bytes of the program.
    #[must_use]
    pub fn binary_size(&self) -> u64 {
        self.entries[1].size.into()
    }

    /// Reads everything once and checks every byte; with `expected`, also that the file is that very one.
    pub fn verify(&self, expected: Option<&Digest>) -> Result<(), SporeError> {
        stream::check(self, expected, &mut stream::Nowhere)
    }

    /// [`Spore::verify`], writing what is checked into the new folder `into` in the same pass.
    ///
    /// The folder gets `manifest.json`, the program under its `command` name (mode 0555), and
    /// `files/**` (mode 0444). Its parent must exist, it itself must not. On any error nothing is left of it.
    pub fn extract(&self, expected: Option<&Digest>, into: &Path) -> Result<Extracted, SporeError> {
        extract::extract(self, expected, into)
    }

    /// The bytes of the file at `path` under `files/`, if there is one.
    #[must_use]
    pub fn file_size(&self, path: &str) -> Option<u64> {
        self.entry(path).map(|entry| entry.size.into())
    }

    /// The content of the file at `path` under `files/`, checked; `None` if there is none. It is held in memory whole.
    pub fn read_file(&self, path: &str) -> Result<Option<Vec<u8>>, SporeError> {
        let Some(entry) = self.entry(path) else { return Ok(None) };
        let at = u64::from(entry.offset) + local_header(entry).len() as u64;
        let mut bytes = vec![0; entry.size as usize];
        self.file.read_exact_at(&mut bytes, at).map_err(SporeError::Read)?;
        let found = Digest::of(&bytes);
        match self.manifest.files.get(path) {
            Some(expected) if *expected != found => {
                Err(SporeError::Content { entry: entry.name.clone(), expected: *expected, found })
            }
            _ => Ok(Some(bytes)),
        }
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        let held = self.entries.get(2..)?;
        held.iter().find(|entry| entry.name.strip_prefix(FILES) == Some(path))
    }

    pub(crate) const fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn manifest_bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// What the manifest says of the content of `entry`; nothing of itself.
    pub(crate) fn digest_of(&self, entry: &Entry) -> Option<&Digest> {
        match entry.name.strip_prefix(FILES) {
            Some(path) => self.manifest.files.get(path),
            None if entry.name == MANIFEST => None,
            None => Some(&self.manifest.binary_sha256),
        }
    }
}

fn manifest_bytes(file: &File, entry: &Entry) -> Result<Vec<u8>, SporeError> {
    let mut bytes = vec![0; entry.size as usize];
    file.read_exact_at(&mut bytes, local_header(entry).len() as u64).map_err(SporeError::Read)?;
    let found = crc32fast::hash(&bytes);
    if found != entry.crc {
        return Err(SporeError::Checksum { entry: MANIFEST.to_owned(), expected: entry.crc, found });
    }
    Ok(bytes)
}

/// The bundle holds what the manifest names, and nothing else. Both sides are sorted.
fn same_files(entries: &[Entry], manifest: &Manifest) -> Result<(), SporeError> {
    let held = || entries[2..].iter().filter_map(|entry| entry.name.strip_prefix(FILES));
    if let Some(path) = held().find(|path| !manifest.files.contains_key(*path)) {
        return Err(SporeError::Unlisted(format!("{FILES}{path}")));
    }
    // Every entry is named, and names are distinct: fewer entries than names means one is missing.
    let mut present = held();
    match manifest.files.keys().find(|path| present.next() != Some(path.as_str())) {
        Some(path) => Err(SporeError::Missing(format!("{FILES}{path}"))),
        None => Ok(()),
    }
}
