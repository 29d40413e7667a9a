//! Names that people type: apps, nodes, replicas, namespaces.
//!
//! Each is a DNS label (RFC 1123 §2.1: 1 to 63 of `a-z 0-9 -`, no hyphen at either end), so that
//! it can be a host name, a folder and a URL segment without being escaped.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that can't be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what} name: 1 to 63 of a-z, 0-9 and '-', with no '-' at either end")]
pub struct NameError {
    what: &'static str,
    text: String,
}

/// The most bytes of a DNS label.
const MAX_LABEL: usize = 63;

fn is_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=MAX_LABEL).contains(&bytes.len())
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

macro_rules! label {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks `text` against the rules of a DNS label.
            pub fn new(text: &str) -> Result<Self, NameError> {
                if is_label(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError { what: $what, text: text.chars().take(80).collect() })
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                (*name.0).to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
                    "description": concat!("name of ", $what, ": a DNS label (RFC 1123)")
                })
            }
        }
    };
}

label!(
    /// The name of an app: what a plan, a budget and a route are about.
    AppName, "app"
);
label!(
    /// The name of a node: one agent, wherever it runs.
    NodeName, "node"
);
label!(
    /// The name of one running copy of an app, `{app}-{random}`, unique on its node.
    ReplicaName, "replica"
);
label!(
    /// The name of a secret or of a config, and of the file as which a replica reads it.
    SettingName, "setting"
);
label!(
    /// A namespace of records; `default` unless told otherwise.
    Namespace, "namespace"
);

impl ReplicaName {
    /// `{app}-{suffix}`, the app's name cut where the whole would be too long for a label.
    pub fn of(app: &AppName, suffix: &str) -> Result<Self, NameError> {
        let room = MAX_LABEL.saturating_sub(suffix.len() + 1);
        let stem = app.as_str();
        Self::new(&format!("{}-{suffix}", &stem[..stem.len().min(room)]))
    }

    /// What stands before the suffix: the app's name, or its beginning.
    #[must_use]
    pub fn stem(&self) -> &str {
        self.0.rsplit_once('-').map_or("", |(stem, _)| stem)
    }

    /// Whether it was made of this app's name. Two apps whose names differ only where they were cut can't be told apart.
    #[must_use]
    pub fn is_of(&self, app: &AppName) -> bool {
        self.0.rsplit_once('-').is_some_and(|(_, suffix)| Self::of(app, suffix).as_ref() == Ok(self))
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".into())
    }
}
