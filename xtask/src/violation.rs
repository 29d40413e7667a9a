//! One thing to mend: where it is, what it is, and how to mend it, on one line that editors can follow.

use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    path: PathBuf,
    line: usize,
    what: String,
}

impl Violation {
    /// At `path` (from the root of the repository) and `line` (from 1): what is wrong, and what to do.
    pub fn new(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.what)
    }
}
