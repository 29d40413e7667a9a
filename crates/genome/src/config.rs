//! Config: a text for the replicas of some apps, as an operator signed it; everybody in the mesh may read it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, SettingName};

use crate::Invalid;
use crate::secret::{check_apps, check_version};

/// A text that replicas read as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// Its name, and that of the file in `/run/config`.
    pub name: SettingName,
    /// Rises with each new text.
    pub version: u64,
    /// The apps that may have it; empty for every app whose plan names it.
    #[serde(rename = "appNames", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub app_names: BTreeSet<AppName>,
    /// What the file holds.
    pub text: String,
}

impl Config {
    /// Whether the fields can be meant.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_version(self.version)?;
        check_apps(&self.app_names)
    }

    /// Whether replicas of `app` may have it.
    #[must_use]
    pub fn is_for(&self, app: &AppName) -> bool {
        self.app_names.is_empty() || self.app_names.contains(app)
    }
}
