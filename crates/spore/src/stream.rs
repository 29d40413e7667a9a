//! The one pass over a spore: every byte read once, hashed, checked, and handed on.
//!
//! Memory is constant whatever the size. Headers are compared to those checked when it was opened,
//! so a file that is written to meanwhile is refused even where nobody gave its digest.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use types::Digest;

use crate::archive::{Entry, Tail, local_header};
use crate::hash::Sha256;
use crate::{Spore, SporeError};

/// Where checked content goes.
pub(crate) trait Sink {
    /// `entry` comes next.
    fn begin(&mut self, entry: &Entry) -> Result<(), SporeError>;
    /// More of it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SporeError>;
    /// That was all of it; whether it is what it should be is known to the caller alone.
    fn end(&mut self) -> Result<(), SporeError>;
}

/// A sink that keeps nothing.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _: &Entry) -> Result<(), SporeError> {
        Ok(())
    }

    fn write(&mut self, _: &[u8]) -> Result<(), SporeError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), SporeError> {
        Ok(())
    }
}

/// How much is read at once: large enough that a system call is nothing, small enough for the L2 cache.
const PIECE: usize = 256 << 10;

/// Checks every byte of `spore`, handing its content to `sink`.
pub(crate) fn check(spore: &Spore, expected: Option<&Digest>, sink: &mut dyn Sink) -> Result<(), SporeError> {
    let mut pass =
        Pass { file: spore.file(), at: 0, whole: expected.map(|_| Sha256::default()), piece: vec![0; PIECE] };
    for (index, entry) in spore.entries().iter().enumerate() {
        pass.same(&local_header(entry), "a local header")?;
        sink.begin(entry)?;
        if index == 0 {
            pass.same(spore.manifest_bytes(), "the manifest")?;
            sink.write(spore.manifest_bytes())?;
        } else {
            pass.content(entry, spore.digest_of(entry), sink)?;
        }
        sink.end()?;
    }
    let directory = u32::try_from(pass.at).expect("a spore is under 4 GiB");
    pass.same(&Tail::of(spore.entries(), directory), "the central directory")?;
    match (pass.whole, expected) {
        (Some(whole), Some(expected)) => {
            let found = whole.finish();
            if found == *expected { Ok(()) } else { Err(SporeError::Digest { expected: *expected, found }) }
        }
        _ => Ok(()),
    }
}

struct Pass<'a> {
    file: &'a File,
    at: u64,
    whole: Option<Sha256>,
    piece: Vec<u8>,
}

impl Pass<'_> {
    /// Reads what must equal `expected`.
    fn same(&mut self, expected: &[u8], what: &'static str) -> Result<(), SporeError> {
        for expected in expected.chunks(PIECE) {
            let piece = &mut self.piece[..expected.len()];
            self.file.read_exact_at(piece, self.at).map_err(SporeError::Read)?;
            if piece != expected {
                return Err(SporeError::Changed(what));
            }
            self.at += piece.len() as u64;
            if let Some(whole) = &mut self.whole {
                whole.update(piece);
            }
        }
        Ok(())
    }

    fn content(
        &mut self,
        entry: &Entry,
        digest: Option<&Digest>,
        sink: &mut dyn Sink,
    ) -> Result<(), SporeError> {
        let mut hash = Sha256::default();
        let mut crc = crc32fast::Hasher::new();
        let mut left = entry.size as usize;
        while left > 0 {
            let length = left.min(PIECE);
            let piece = &mut self.piece[..length];
            self.file.read_exact_at(piece, self.at).map_err(SporeError::Read)?;
            hash.update(piece);
            crc.update(piece);
            if let Some(whole) = &mut self.whole {
                whole.update(piece);
            }
            sink.write(piece)?;
            self.at += length as u64;
            left -= length;
        }
        judge(entry, digest, hash.finish(), crc.finalize())
    }
}

/// Whether an entry's content is what manifest and header say.
fn judge(entry: &Entry, digest: Option<&Digest>, hash: Digest, crc: u32) -> Result<(), SporeError> {
    if let Some(expected) = digest.filter(|expected| **expected != hash) {
        return Err(SporeError::Content { entry: entry.name.clone(), expected: *expected, found: hash });
    }
    if crc != entry.crc {
        return Err(SporeError::Checksum { entry: entry.name.clone(), expected: entry.crc, found: crc });
    }
    Ok(())
}
