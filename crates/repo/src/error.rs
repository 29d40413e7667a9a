//! Why something could not be stored or read. Each message names the file or folder, and whose fault it is.

use std::io;
use std::path::PathBuf;

use types::Digest;

/// Why the repo could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk, a quota or a file size limit is full. Nothing was left behind.
    #[error(
        "store a spore in {}: {reason} after {written} bytes ({free} bytes are free there); free some, or run: mesh repo gc",
        dir.display()
    )]
    Full {
        /// The repo's folder.
        dir: PathBuf,
        /// What is full, in words.
        reason: &'static str,
        /// How many bytes were written before.
        written: u64,
        /// How many bytes an ordinary user may still write there.
        free: u64,
    },
    /// What should be stored could not be read to its end. Nothing was left behind.
    #[error("read what should be stored, {read} bytes in: {source}")]
    Source {
        /// How many bytes had been read before.
        read: u64,
        /// What the source said.
        source: io::Error,
    },
    /// The file that should be stored could not be opened.
    #[error("open {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What should be stored is a folder, a socket, …
    #[error("store {}: it is not a file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// No spore of that digest here.
    #[error("find the spore {digest} in {}", dir.display())]
    NotFound {
        /// What was asked for.
        digest: Digest,
        /// The repo's folder.
        dir: PathBuf,
    },
    /// The file isn't what its name says. Nothing in it may be used; publishing the spore again repairs it.
    #[error(
        "use the spore {digest}: {} was altered or damaged, its content is {actual}; publish it again to repair it",
        path.display()
    )]
    Altered {
        /// What was asked for.
        digest: Digest,
        /// The file.
        path: PathBuf,
        /// The SHA-256 of what is in it.
        actual: Digest,
    },
    /// The file system said no.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: what was being done, and to which path.
    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}
