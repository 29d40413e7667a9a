//! Secret: a value for the replicas of some apps, sealed by an operator to the nodes that may run them.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use types::{AppName, PublicKey, SettingName};

use crate::Invalid;
use crate::invalid::check_text;

/// The most apps that one secret, or one config, names.
const MAX_APPS: usize = 64;
/// More text than a share has: an encapsulated key and a sealed one, in base64.
const MAX_SHARE: usize = 256;
/// More text than any key service makes of 32 bytes.
const MAX_HELD: usize = 1024;
/// The most key services of one secret.
const MAX_KEEPERS: usize = 4;

/// A sealed value. Only the holders of its shares can open it; how it is sealed is `soul`'s business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Secret {
    /// Its name, and that of the file in `/run/secrets`.
    pub name: SettingName,
    /// Rises with each new value; sealing the same value anew leaves it.
    pub version: u64,
    /// The apps that may have it; empty for every app whose plan names it.
    #[serde(rename = "appNames", default, skip_serializing_if = "BTreeSet::is_empty")]
    pub app_names: BTreeSet<AppName>,
    /// The value under the content key (ChaCha20-Poly1305), in base64.
    pub sealed: String,
    /// The content key for each who may open it, by their Ed25519 key: nodes and operators (HPKE), in base64.
    #[serde(default)]
    pub shares: BTreeMap<PublicKey, String>,
    /// The content key as a key service wrapped it, by the name of its key: for whoever may ask that service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub held: BTreeMap<String, String>,
}

impl Secret {
    /// Whether the fields can be meant. A record bounds what is sealed, and how many shares there are.
    pub fn validate(&self) -> Result<(), Invalid> {
        check_version(self.version)?;
        check_apps(&self.app_names)?;
        if self.held.len() > MAX_KEEPERS {
            return Err(Invalid::new("held", format!("more than {MAX_KEEPERS}")));
        }
        self.shares.values().try_for_each(|share| check_text("shares", share, MAX_SHARE))?;
        self.held.iter().try_for_each(|(key, wrapped)| {
            check_text("held", key, MAX_SHARE)?;
            check_text("held", wrapped, MAX_HELD)
        })
    }

    /// Whether replicas of `app` may have it.
    #[must_use]
    pub fn is_for(&self, app: &AppName) -> bool {
        self.app_names.is_empty() || self.app_names.contains(app)
    }
}

pub(crate) fn check_version(version: u64) -> Result<(), Invalid> {
    // Every JSON reader agrees on it.
    if (1..1 << 53).contains(&version) {
        Ok(())
    } else {
        Err(Invalid::new("version", "not between 1 and 2^53"))
    }
}

pub(crate) fn check_apps(apps: &BTreeSet<AppName>) -> Result<(), Invalid> {
    if apps.len() > MAX_APPS {
        return Err(Invalid::new("appNames", format!("more than {MAX_APPS}; leave them out to mean all")));
    }
    Ok(())
}
