//! What the exit status of `mesh` means. This is the only place that numbers them.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Done, or nothing had to be done.
    Ok,
    /// It failed, and no code below says it better.
    Failure,
    /// The command line or a file it names makes no sense.
    Usage,
    /// No mesh runs in this state.
    NotRunning,
    /// Something may not run here or may not be said: signature, trust, or the operator's key.
    Refused,
    /// The release failed; the one before it runs again.
    RolledBack,
    /// It was not done in time; the mesh goes on with it.
    Timeout,
    /// Ctrl-C ended the watching; what was asked for goes on.
    Interrupted,
    /// What a command run by `mesh exec` ended with.
    Foreign(u8),
}

/// Every code with what it means, in order.
pub const TABLE: [(Code, &str); 8] = [
    (Code::Ok, "done, or nothing had to be done"),
    (Code::Failure, "it failed, and no code below says it better"),
    (Code::Usage, "the command line, or a file it names, makes no sense"),
    (Code::NotRunning, "no mesh runs in this state"),
    (
        Code::Refused,
        "refused: a signature that doesn't hold, an unknown publisher, a key that is no operator's",
    ),
    (Code::RolledBack, "the release failed and the one before it runs again"),
    (Code::Timeout, "not done in time; the mesh goes on with it"),
    (Code::Interrupted, "Ctrl-C ended the watching; what was asked for goes on"),
];

impl Code {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::Refused => 4,
            Self::RolledBack => 5,
            Self::Timeout => 6,
            Self::Interrupted => 130,
            Self::Foreign(code) => code,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code.number())
    }
}

/// The text of `mesh help exit-codes`.
#[must_use]
pub fn help() -> String {
    let rows = TABLE.iter().map(|(code, meaning)| format!("  {:>3}  {meaning}\n", code.number()));
    format!(
        "Exit codes:\n{}\n`mesh exec` ends with the status of the command it ran, 128 + N when signal N ended it.\n",
        rows.collect::<String>()
    )
}
