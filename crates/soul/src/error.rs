//! Why a key or the trust store could not be used. Each message names the file, and the way out where there is one.

use std::io;
use std::path::PathBuf;

use crate::secret::PemError;

/// Why a key file could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A name that can't be a file name everywhere.
    #[error(
        "use the key name {0:?}: 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', starting with a letter or digit"
    )]
    Name(String),
    /// There is already a key of that name; keys are never overwritten.
    #[error("create the key {name:?}: {} exists already and is never overwritten", path.display())]
    Exists {
        /// The key's name.
        name: String,
        /// The file that is there.
        path: PathBuf,
    },
    /// No such key.
    #[error("find a key in {}", path.display())]
    NotFound {
        /// The file that is not there.
        path: PathBuf,
    },
    /// Others could read the secret.
    #[error(
        "use the key in {path}: others on this machine may read it (mode {mode:04o}); run: chmod 600 {quoted}",
        path = path.display(), quoted = quoted(path)
    )]
    Readable {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others could put another key in place of this one.
    #[error(
        "use the key folder {path}: others on this machine may write to it (mode {mode:04o}); run: chmod go-w {quoted}",
        path = path.display(), quoted = quoted(path)
    )]
    Writable {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not a key we can use.
    #[error("read the key in {}: {source}", path.display())]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: PemError,
    },
    /// The system's random source failed.
    #[error("make a key: the system's random source failed: {0}")]
    Random(String),
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

/// Why the trust store could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file is not what this program writes. It is left as it is: nothing is trusted until a person looks.
    #[error("read the trust store {}: {reason}; it was left as it is: repair it, or move it away to start anew", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others could add publishers.
    #[error(
        "use the trust store {path}: others on this machine may write to it (mode {mode:04o}); run: chmod go-w {quoted}",
        path = path.display(), quoted = quoted(path)
    )]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A comment that is too long or has control characters.
    #[error("store the comment {comment:?}: at most 256 bytes, without control characters")]
    Comment {
        /// The start of the comment.
        comment: String,
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

/// Why the ticket book or a node's papers could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is not what this program writes. It is left as it is.
    #[error("read {}: {reason}; it was left as it is: repair it, or move it away", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others could put something else in its place.
    #[error(
        "use {path}: others on this machine may write to it (mode {mode:04o}); run: chmod go-w {quoted}",
        path = path.display(), quoted = quoted(path)
    )]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
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

/// Why a text did not lead to one trusted key.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Nothing matches.
    #[error("find a trusted key by {text:?}: no key, fingerprint or comment matches")]
    None {
        /// What was looked for.
        text: String,
    },
    /// More than one matches.
    #[error("find a trusted key by {text:?}: it matches {}", matches.join(" and "))]
    Ambiguous {
        /// What was looked for.
        text: String,
        /// The fingerprints it matches.
        matches: Vec<String>,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] TrustError),
}

/// The path as a POSIX shell takes it.
fn quoted(path: &std::path::Path) -> String {
    let text = path.display().to_string();
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+,:@".contains(&b)) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
