//! What makes this machine a node of a mesh of many: founding one, or joining one with a ticket.
//!
//! Both leave papers behind (see [`soul::Papers`]), the node's key, `mesh.json` and `node.json`; nothing runs yet.

mod again;
mod found;
mod join;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use soul::{MAX_MEMBERSHIP_LIFE, MEMBERSHIP_LIFE};
use types::{MeshId, NodeName, PublicKey};

pub use found::{Founded, OPERATOR, PUBLISHER, RECOVERY, ROOT, found};
pub use join::{JoinError, join};

use crate::Paths;
use crate::identity::IdentityError;

/// The content of `node.json`: who this machine is in its mesh, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFile {
    /// The node's name.
    pub name: NodeName,
    /// Where the overlay listens (UDP).
    pub listen: Vec<SocketAddr>,
    /// What others are told instead of the addresses found on this machine; port 0 means the one listened on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advertise: Vec<SocketAddr>,
    /// How long the memberships that it signs as an issuer hold, in milliseconds; a day unless it says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership_ms: Option<u64>,
    /// Whom it met first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<Seed>,
}

/// A node that was there before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed {
    /// Its key.
    pub key: PublicKey,
    /// Where it was.
    pub addresses: Vec<SocketAddr>,
}

/// Why this machine could not be made a node.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// It is one of a mesh already, or runs one by itself.
    #[error("use {}: it holds the mesh {mesh} already", .state.display())]
    Taken {
        /// The state folder.
        state: PathBuf,
        /// Its mesh.
        mesh: MeshId,
    },
    /// A mesh runs in the state folder.
    #[error("use {}: a mesh runs there", .0.display())]
    Running(PathBuf),
    /// A file or folder of the state.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A folder that others may change, or that can't be made.
    #[error(transparent)]
    Folder(#[from] crate::StartError),
    /// A key.
    #[error(transparent)]
    Key(#[from] soul::KeyFileError),
    /// The papers.
    #[error(transparent)]
    Papers(#[from] soul::PapersError),
    /// One of the papers.
    #[error(transparent)]
    File(#[from] soul::FileError),
    /// A certificate could not be made.
    #[error(transparent)]
    Issue(#[from] soul::IssueError),
    /// The recovery key is the root key.
    #[error(transparent)]
    SameKey(#[from] soul::SameKey),
    /// A record could not be made.
    #[error(transparent)]
    Draft(#[from] fabric::DraftError),
    /// The records could not be kept.
    #[error("keep the first records: {0}")]
    Records(#[from] fabric::Refused),
    /// No way into the mesh.
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl NodeFile {
    /// How long the memberships hold that it signs.
    #[must_use]
    pub fn membership_life(&self) -> Duration {
        let life = self.membership_ms.map_or(MEMBERSHIP_LIFE, Duration::from_millis);
        life.clamp(Duration::from_secs(1), MAX_MEMBERSHIP_LIFE)
    }

    /// Reads it; `None` on a machine that is no node of a mesh of many.
    pub fn load(paths: &Paths) -> Result<Option<Self>, IdentityError> {
        let path = paths.node_file();
        match std::fs::read(&path) {
            Ok(bytes) => match types::json::from_slice(&bytes) {
                Ok(file) => Ok(Some(file)),
                Err(e) => Err(IdentityError::Garbage { path, reason: e.to_string() }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(IdentityError::Io { path, source }),
        }
    }

    fn keep(&self, paths: &Paths) -> Result<(), IdentityError> {
        let path = paths.node_file();
        crate::identity::keep(&path, self).map_err(|source| IdentityError::Io { path, source })
    }
}

/// Whether the state folder may become a node: it holds no mesh yet, or one that never got this far.
fn check_free(paths: &Paths) -> Result<(), MemberError> {
    match crate::identity::load(paths) {
        Ok(file) => Err(MemberError::Taken { state: paths.state.clone(), mesh: file.mesh }),
        Err(IdentityError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
