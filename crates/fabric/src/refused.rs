//! Why a record was not taken, and whose fault that is.

use types::{Fingerprint, SignatureError};

use crate::{DraftError, WireError};

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The writer's: not the canonical form.
    #[error("store a record: {0}")]
    Wire(#[from] WireError),
    /// The caller's: its own record could not be written.
    #[error("{0}")]
    Draft(#[from] DraftError),
    /// The sender's: a record of another mesh.
    #[error("store {key}: it belongs to another mesh")]
    OtherMesh {
        /// What it is about.
        key: String,
    },
    /// Somebody's on the way, or a forger's.
    #[error("store {key}: {error}")]
    Signature {
        /// What it is about.
        key: String,
        /// What is wrong with it.
        error: SignatureError,
    },
    /// The writer's: the content makes no sense.
    #[error("store {key}: {reason}")]
    Content {
        /// What it is about.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The caller's: another kind than the call is for.
    #[error("store {key}: the record is no {expected}")]
    OtherKind {
        /// What it is about.
        key: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The writer's: it may not write in this owner's name.
    #[error("store {key}: the key {writer} may not write for {owner}")]
    Unauthorised {
        /// What it is about.
        key: String,
        /// In whose name it was written.
        owner: String,
        /// By which key.
        writer: Fingerprint,
    },
    /// The writer's, or nobody's: its papers don't make it the node of that name here.
    #[error("store {key}: {reason}")]
    NotAdmitted {
        /// What it is about.
        key: String,
        /// Why not.
        reason: String,
    },
    /// Nobody's: something newer is here.
    #[error("store {key}: generation {offered} is not newer than {current}")]
    Stale {
        /// What it is about.
        key: String,
        /// The count of the refused record.
        offered: u64,
        /// The count that is here.
        current: u64,
    },
    /// The writer's, or a clock's: it has ended already, or ends too far ahead.
    #[error("store {key}: {reason}")]
    Expiry {
        /// What it is about.
        key: String,
        /// In which way.
        reason: &'static str,
    },
    /// The writer's: a node holds more records than it may.
    #[error("store {key}: {owner} has too many records ({what})")]
    TooMany {
        /// What it is about.
        key: String,
        /// Whose they are.
        owner: String,
        /// What bound was met.
        what: &'static str,
    },
    /// This machine's: it came to an end over this record before.
    #[error("store {key}: the record is in quarantine here, since this node ended over it before")]
    Quarantined {
        /// What it is about.
        key: String,
    },
    /// This machine's: the record holds here, but is not safe on disk.
    #[error("write the journal: {0}")]
    NotDurable(String),
}
