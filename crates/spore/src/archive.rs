//! Archive: the one form of zip (PKWARE APPNOTE 6.3.10) that a spore is, written and read.
//!
//! Zip lets two readers of one file see two contents: repeated names, headers that disagree, bytes
//! between entries. So every header is made from the four things that may vary (name, size,
//! CRC-32, offset), and reading means making it again and comparing. Any zip tool can read it; this
//! reader accepts no other zip.

mod header;
mod read;

use std::fmt;

pub(crate) use header::{Entry, Tail, local_header};
pub(crate) use read::read;

/// The name of the entry that says what the others are.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The name of the entry that is run.
pub(crate) const BINARY: &str = "binary";
/// What the names of all other entries begin with.
pub(crate) const FILES: &str = "files/";

/// How a file is not the one form of zip that a spore is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Fewer bytes than the smallest spore has, or more than zip without zip64 can hold.
    #[error("a file of {0} bytes can't be a spore")]
    Size(u64),
    /// A header field isn't what it must be, given the rest of the file.
    #[error("the {field} in {place} is {found:#x} instead of {expected:#x}")]
    Field {
        /// Which header.
        place: Place,
        /// Which of its fields.
        field: &'static str,
        /// What must be there.
        expected: u32,
        /// What is there.
        found: u32,
    },
    /// The name in an entry's local header differs from the one in the central directory.
    #[error("the local header of {name:?} calls it {found:?}")]
    LocalName {
        /// The name in the central directory.
        name: String,
        /// The name in the local header.
        found: String,
    },
    /// An entry's name is not the one that must stand at its place.
    #[error("entry {index} of the central directory is named {name:?}: {problem}")]
    Name {
        /// The place in the directory, from 0.
        index: usize,
        /// The name found there.
        name: String,
        /// Why it can't stand there.
        problem: &'static str,
    },
    /// Too few or too many entries.
    #[error("the bundle has {0} entries")]
    Count(usize),
    /// An entry is larger than its kind may be.
    #[error("{name:?} has {size} bytes, more than {most}")]
    TooLarge {
        /// The entry.
        name: String,
        /// Its size.
        size: u64,
        /// The most it may have.
        most: u64,
    },
    /// An entry that can't be empty is.
    #[error("{0:?} is empty")]
    Empty(&'static str),
    /// The central directory isn't of the size that the end of the file states.
    #[error("the central directory's records don't fill the {stated} bytes it is said to have")]
    DirectorySize {
        /// The stated size.
        stated: u32,
    },
    /// The entries end before or after the central directory begins.
    #[error("the entries end at {end}, but the central directory begins at {directory}")]
    Gap {
        /// Where the last entry's content ends.
        end: u64,
        /// Where the central directory begins.
        directory: u64,
    },
}

/// Which header of a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The local header before an entry's content.
    Local(String),
    /// The record of an entry in the central directory.
    Central(String),
    /// The record at the very end of the file.
    End,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(name) => write!(f, "the local header of {name:?}"),
            Self::Central(name) => write!(f, "the central directory's record of {name:?}"),
            Self::End => f.write_str("the end of central directory record"),
        }
    }
}

#[cfg(test)]
mod tests;
