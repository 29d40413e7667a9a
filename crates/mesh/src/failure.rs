//! A command that failed: what happened to which thing, what to do about it, and the exit code.

use std::error::Error;
use std::fmt::{self, Display};

use crate::exit::Code;

/// Why a command failed, as it is shown.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub code: Code,
    /// One line: what happened, to which thing.
    pub error: String,
    /// What to do next.
    pub hint: Option<String>,
    /// What lies below, shown with `-v` only.
    pub causes: Vec<String>,
}

impl Failure {
    /// A failure without a better code than 1.
    #[must_use]
    pub fn new(error: impl Display) -> Self {
        Self { code: Code::Failure, error: error.to_string(), hint: None, causes: Vec::new() }
    }

    /// A command line, or a file it names, that makes no sense.
    #[must_use]
    pub fn usage(error: impl Display) -> Self {
        Self::new(error).code(Code::Usage)
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// Ends with this exit code.
    #[must_use]
    pub const fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// What `error` says in one line, and what lies below it for `-v`.
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new(error);
        let mut below = error.source();
        while let Some(cause) = below {
            let text = cause.to_string();
            if !failure.error.contains(&text) {
                failure.causes.push(text);
            }
            below = cause.source();
        }
        failure
    }
}

/// Whatever has an error of its own gets the code and hint that `hints` knows for it.
impl<E: Error + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        crate::hints::explain(&error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}
