//! What can go wrong with a spore, and whose fault it is: the bundle's, the caller's, or the machine's.

use std::io;
use std::path::PathBuf;

use types::{Digest, SignError, SignatureError};

use crate::{FormatError, ManifestError};

/// Why a spore was not opened, verified or extracted.
#[derive(Debug, thiserror::Error)]
pub enum SporeError {
    /// The machine could not read the file.
    #[error("read the spore: {0}")]
    Read(#[source] io::Error),
    /// It is not a regular file.
    #[error("read the spore: it is not a regular file")]
    NotAFile,
    /// The bundle is not of the one form a spore has.
    #[error("accept the spore: {0}")]
    Format(#[from] FormatError),
    /// Its manifest is not one.
    #[error("accept the spore: {0}")]
    Manifest(#[from] ManifestError),
    /// Its signature doesn't hold: somebody changed the manifest after it was signed.
    #[error("accept the spore: {0}")]
    Signature(#[from] SignatureError),
    /// An entry that the manifest doesn't name.
    #[error("accept the spore: {0:?} is in the bundle, but its manifest doesn't name it")]
    Unlisted(String),
    /// A file that the manifest names and the bundle lacks.
    #[error("accept the spore: its manifest names {0:?}, which is not in the bundle")]
    Missing(String),
    /// An entry's content is not what the manifest's digest says.
    #[error("accept the spore: the SHA-256 of {entry:?} is {found}, but its manifest says {expected}")]
    Content {
        /// The entry.
        entry: String,
        /// What the manifest says.
        expected: Digest,
        /// What its bytes are.
        found: Digest,
    },
    /// An entry's content is not what its header's checksum says.
    #[error(
        "accept the spore: the CRC-32 of {entry:?} is {found:#010x}, but its header says {expected:#010x}"
    )]
    Checksum {
        /// The entry.
        entry: String,
        /// What the header says.
        expected: u32,
        /// What its bytes are.
        found: u32,
    },
    /// The file as a whole is another one than was asked for.
    #[error("accept the spore: the SHA-256 of the file is {found}, not {expected}")]
    Digest {
        /// What was asked for.
        expected: Digest,
        /// What the file is.
        found: Digest,
    },
    /// Somebody wrote to the file while it was read.
    #[error("accept the spore: {0} changed since it was opened")]
    Changed(&'static str),
    /// Extraction never writes into what is already there.
    #[error("extract the spore: {} already exists", .0.display())]
    Exists(PathBuf),
    /// The machine could not write what was extracted.
    #[error("extract the spore: {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
}

/// Why a spore was not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The template, or what became of it, breaks a rule.
    #[error("pack the spore: {0}")]
    Manifest(#[from] ManifestError),
    /// A source could not be read.
    #[error("pack the spore: {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the machine said.
        source: io::Error,
    },
    /// A source can't be part of a spore.
    #[error("pack the spore: {}: {problem}", path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: &'static str,
    },
    /// Two sources for one path, or a path that can't be one.
    #[error("pack the spore: the path {path:?} under files/: {problem}")]
    Path {
        /// The path.
        path: String,
        /// Why not.
        problem: &'static str,
    },
    /// All parts together are more than a spore can hold.
    #[error("pack the spore: {0} bytes are more than a spore can hold")]
    TooLarge(u64),
    /// The signer didn't sign.
    #[error("sign the spore: {0}")]
    Sign(#[from] SignError),
    /// The machine could not write the bundle.
    #[error("write the spore: {0}")]
    Write(#[source] io::Error),
}
