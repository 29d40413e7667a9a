//! The one pass over a spore: every byte read once, hashed, checked, and handed on.
//!
//! Memory is constant whatever the size. Headers are compared to those checked when it was opened,
//! so a file that is written to meanwhile is refused even where nobody gave its digest.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;

use types::Digest;

use crate::archive::{Entry, Tail, local_header};
use crate::hash::Sha256;
use crate::{Spore, SporeError};

mod pipe;

/// Where checked content goes.
pub(crate) trait Sink: Sync {
    /// `entry` comes next.
    fn begin(&mut self, entry: &Entry) -> Result<(), SporeError>;
    /// The part of it that begins at `at`. Parts may come out of order, and from two threads.
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), SporeError>;
    /// That was all of it; whether it is what it should be is known to the caller alone.
    fn end(&mut self) -> Result<(), SporeError>;
}

/// A sink that keeps nothing.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn begin(&mut self, _: &Entry) -> Result<(), SporeError> {
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), SporeError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), SporeError> {
        Ok(())
    }
}

/// How much is read at once: large enough that a system call is nothing, small enough for the L2 cache.
const PIECE: usize = 256 << 10;

/// Content of so many bytes is passed through threads; below, starting them costs more than it gains.
const WORTH_THREADS: u32 = 8 << 20;

/// Checks every byte of `spore`, handing its content to `sink`.
pub(crate) fn check(spore: &Spore, expected: Option<&Digest>, sink: &mut dyn Sink) -> Result<(), SporeError> {
    let mut pass =
        Pass { file: spore.file(), at: 0, whole: expected.map(|_| Sha256::default()), piece: vec![0; PIECE] };
    for (index, entry) in spore.entries().iter().enumerate() {
        pass.same(&local_header(entry), "a local header")?;
        sink.begin(entry)?;
        if index == 0 {
            pass.same(spore.manifest_bytes(), "the manifest")?;
            sink.write_at(spore.manifest_bytes(), 0)?;
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
            read_at(self.file, piece, self.at)?;
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

    fn content(&mut self, entry: &Entry, digest: Option<&Digest>, sink: &dyn Sink) -> Result<(), SporeError> {
        let (hash, crc) = if entry.size >= WORTH_THREADS {
            pipe::content(self, entry.size.into(), sink)?
        } else {
            self.content_here(entry.size as usize, sink)?
        };
        judge(entry, digest, hash, crc)
    }

    fn content_here(&mut self, mut left: usize, sink: &dyn Sink) -> Result<(Digest, u32), SporeError> {
        let mut hash = Sha256::default();
        let mut crc = crc32fast::Hasher::new();
        let start = self.at;
        while left > 0 {
            let length = left.min(PIECE);
            let piece = &mut self.piece[..length];
            read_at(self.file, piece, self.at)?;
            hash.update(piece);
            crc.update(piece);
            if let Some(whole) = &mut self.whole {
                whole.update(piece);
            }
            sink.write_at(piece, self.at - start)?;
            self.at += length as u64;
            left -= length;
        }
        Ok((hash.finish(), crc.finalize()))
    }
}

/// Reads all of `piece`; a file that has become shorter is one that changed.
fn read_at(file: &File, piece: &mut [u8], at: u64) -> Result<(), SporeError> {
    file.read_exact_at(piece, at).map_err(|e| match e.kind() {
        ErrorKind::UnexpectedEof => SporeError::Changed("its length"),
        _ => SporeError::Read(e),
    })
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

#[cfg(test)]
mod tests;
