//! How a fetch ended.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use types::{Digest, PublicKey};

use crate::Error;

/// A spore that is here now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its absolute path in the repo.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// How many pieces came from whom; nobody is named if it was here already.
    pub from: BTreeMap<PublicKey, u32>,
    /// Who sent what isn't the spore, and what it was. They were not asked again.
    pub blamed: BTreeMap<PublicKey, String>,
}

/// Why a spore could not be fetched. What was got of it is kept for the next time, unless the disk is full.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// Nobody who has it could be found in time, or nobody who was found sent it.
    #[error("fetch the spore {digest}: nothing came for {waited:?}, {have} of {of} pieces are here; {said}")]
    NoHolder {
        /// What was asked for.
        digest: Digest,
        /// How long nothing came.
        waited: Duration,
        /// How many pieces are here.
        have: u32,
        /// Of how many; 0 if nobody has told.
        of: u32,
        /// What was heard from some of those who may have it.
        said: String,
        /// Who sent what isn't the spore, and what it was.
        blamed: BTreeMap<PublicKey, String>,
    },
    /// The repo could not take it: mostly because the disk is full.
    #[error(transparent)]
    Repo(#[from] Arc<Error>),
    /// Fetching it ended in the middle: the runtime is shutting down.
    #[error("fetch the spore {0}: it was broken off")]
    BrokenOff(Digest),
}

impl From<Error> for FetchError {
    fn from(error: Error) -> Self {
        Self::Repo(Arc::new(error))
    }
}
