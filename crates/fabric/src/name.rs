//! Names of records: one to four DNS labels joined by slashes (`billing`, `billing/node-1/billing-7f3a`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use types::{AppName, Digest, Namespace, NodeName, PublicKey, ReplicaName, SettingName};

/// The most labels in a name.
const MAX_LABELS: usize = 4;

/// The name of a record; at most 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordName(Arc<str>);

/// A text that can't be the name of a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a record's name: one to four DNS labels joined by '/'")]
pub struct RecordNameError(String);

impl RecordName {
    /// The name of an app's plan or budget.
    #[must_use]
    pub fn of_app(app: &AppName) -> Self {
        Self(app.as_str().into())
    }

    /// The name of a node's own record.
    #[must_use]
    pub fn of_node(node: &NodeName) -> Self {
        Self(node.as_str().into())
    }

    /// The name of a secret or a config.
    #[must_use]
    pub fn of_setting(name: &SettingName) -> Self {
        Self(name.as_str().into())
    }

    /// The name of an endpoint: `app/node/replica`.
    #[must_use]
    pub fn of_endpoint(app: &AppName, node: &NodeName, replica: &ReplicaName) -> Self {
        Self(format!("{app}/{node}/{replica}").into())
    }

    /// The name of what a node observed of an app: `app/node`.
    #[must_use]
    pub fn of_observed(app: &AppName, node: &NodeName) -> Self {
        Self(format!("{app}/{node}").into())
    }

    /// The name of the mesh's root, of which there is one.
    #[must_use]
    pub fn of_root() -> Self {
        Self("root".into())
    }

    /// The least of all names, from which on those of a kind are looked through.
    pub(crate) fn least() -> Self {
        Self("0".into())
    }

    /// The name of what is said of a key (a publisher, an operator, a revoked node): the first 40 hex digits of its key's SHA-256.
    #[must_use]
    pub fn of_key(key: &PublicKey) -> Self {
        Self(Digest::of(key.as_bytes()).to_string()[..40].into())
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its labels.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for RecordName {
    type Err = RecordNameError;

    fn from_str(text: &str) -> Result<Self, RecordNameError> {
        // Namespace has exactly the rules of a DNS label.
        let labels =
            text.split('/').take(MAX_LABELS + 1).filter(|label| Namespace::new(label).is_ok()).count();
        if labels > MAX_LABELS || labels != text.split('/').take(MAX_LABELS + 1).count() {
            return Err(RecordNameError(text.chars().take(80).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for RecordName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
