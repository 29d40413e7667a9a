//! What can go wrong between a client and its keeper.

use std::path::PathBuf;

use crate::wire::{Failure, FailureKind};

/// Why the keeper did not do what it was asked. Each text goes on behind "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeeperError {
    /// No keeper could be started: the machine's or the installation's fault.
    #[error("start a keeper for {}: {reason}", dir.display())]
    Start {
        /// The keeper's folder.
        dir: PathBuf,
        /// What was wrong.
        reason: String,
    },
    /// The keeper is gone. Attach again.
    #[error("reach the keeper: it has ended")]
    Lost,
    /// The keeper doesn't answer: it is stopped, or the machine is far too busy.
    #[error("reach the keeper: it does not answer")]
    Silent,
    /// The keeper and we don't understand each other.
    #[error("understand the keeper: {text}")]
    Broken {
        /// What came.
        text: String,
    },
    /// A program could not be executed: the workload's fault, most often.
    #[error("{text}")]
    Launch {
        /// `run PROGRAM: reason`.
        text: String,
    },
    /// There is a workload of that id, or its exit was not forgotten.
    #[error("{text}")]
    Exists {
        /// Which.
        text: String,
    },
    /// There is no workload of that id.
    #[error("{text}")]
    Unknown {
        /// Which.
        text: String,
    },
    /// This keeper is older than what was asked of it: upgrade it.
    #[error("{text}")]
    Unsupported {
        /// What it doesn't know.
        text: String,
    },
    /// The keeper would not do that: the caller's fault.
    #[error("{text}")]
    Refused {
        /// Why.
        text: String,
    },
}

impl From<Failure> for KeeperError {
    fn from(Failure { kind, text }: Failure) -> Self {
        match kind {
            FailureKind::Launch => Self::Launch { text },
            FailureKind::Exists => Self::Exists { text: format!("spawn a workload: {text}") },
            FailureKind::Unknown => Self::Unknown { text: format!("find the workload: {text}") },
            FailureKind::Unsupported => Self::Unsupported { text: format!("ask the keeper: {text}") },
            FailureKind::Refused => Self::Refused { text },
        }
    }
}
