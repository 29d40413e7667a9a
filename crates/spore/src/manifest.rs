//! Manifest: what a spore says about itself, `manifest.json`.
//!
//! Read strictly (types::json), then checked rule by rule. The document it was read from is kept
//! whole: the signature covers it, fields of later versions included, at any depth.

mod check;
mod parts;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use types::{AppName, Digest, Metric, PublicKey, Signature, Timestamp, Workload};

pub use parts::{Health, Kind, Needs, Provides, Security, Slo};

use crate::bounds::MAX_MANIFEST_BYTES;

/// A signed manifest. It is read, never edited: change a [`crate::Template`] and pack again.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[schemars(title = "Spore manifest", extend("$id" = "https://mycelium.invalid/schemas/manifest.schema.json"))]
pub struct Manifest {
    /// Always `Spore`.
    pub kind: Kind,
    /// The app this is a version of.
    pub name: AppName,
    /// The version, for people: 1 to 128 printable ASCII characters without spaces.
    pub version: String,
    /// The file name that `binary` gets when extracted.
    pub command: String,
    /// Arguments, without the program's own name.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// What it offers on its port; nothing for a worker or a job.
    pub provides: Vec<Provides>,
    /// What one replica needs.
    pub nutrients: Needs,
    /// What it promises.
    pub slo: Slo,
    /// What it exposes of its load, by which the number of its replicas follows its work. A worker or a job that has
    /// this gets a `PORT` to serve it on.
    #[serde(default)]
    pub scale: Option<Metric>,
    /// How it wants to be confined.
    pub security: Security,
    /// What kind of process it is.
    #[serde(default)]
    pub workload: Workload,
    /// How it says that it is well.
    #[serde(default)]
    pub health: Health,
    /// What runs `binary` when it isn't native: words with one space between, such as `java -jar`.
    #[serde(default)]
    pub interpreter: Option<String>,
    /// The SHA-256 of every file that comes with the program, by its path under `files/`.
    #[serde(default)]
    pub files: BTreeMap<String, Digest>,
    /// Other resources it needs (`gpu`, …): open, by name.
    #[serde(default)]
    pub resources: BTreeMap<String, Value>,
    /// The SHA-256 of `binary`.
    pub binary_sha256: Digest,
    /// Ed25519 over the SHA-256 of (this document without `signature`, in JCS, then `binary_sha256` as 32 bytes).
    pub signature: Signature,
    /// The key that verifies `signature`.
    pub public_key: PublicKey,
    /// When it was made; derived from the source, so that the same inputs give the same bytes.
    pub created_at: Timestamp,
    #[serde(skip)]
    document: Map<String, Value>,
}

/// Why a text is not a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not the JSON that every reader reads alike.
    #[error("manifest.json: {0}")]
    Json(#[from] types::json::JsonError),
    /// JSON, but not an object.
    #[error("manifest.json is not a JSON object")]
    NotAnObject,
    /// More bytes than [`MAX_MANIFEST_BYTES`].
    #[error("manifest.json has {0} bytes, more than {MAX_MANIFEST_BYTES}")]
    TooLarge(u64),
    /// A field is missing, has the wrong type, or a value that can't be meant.
    #[error("manifest.json: {field}: {problem}")]
    Field {
        /// The field, with the path to it: `nutrients.cpu_milli`.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Manifest {
    /// Reads a signed manifest and checks every rule but the signature.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::from_document(document(bytes)?)
    }

    pub(crate) fn from_document(document: Map<String, Value>) -> Result<Self, ManifestError> {
        let mut manifest: Self =
            serde_path_to_error::deserialize(Value::Object(document.clone())).map_err(|e| {
                ManifestError::Field { field: e.path().to_string(), problem: e.inner().to_string() }
            })?;
        check::check(&manifest)?;
        manifest.document = document;
        Ok(manifest)
    }

    /// The whole document, fields unknown to this version included.
    #[must_use]
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// The fields this version knows nothing about; the signature covers them all the same.
    pub fn unknown(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.document
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .filter(|(name, _)| !FIELDS.contains(name))
    }

    /// The words of `interpreter`, none for a native program.
    pub fn interpreter_words(&self) -> impl Iterator<Item = &str> {
        self.interpreter.as_deref().into_iter().flat_map(|words| words.split(' '))
    }
}

/// Serialises the document, fields in the order in which the specification lists them.
impl Serialize for Manifest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Ordered(&self.document).serialize(serializer)
    }
}

/// Reads the one JSON object that a manifest or a template is.
pub(crate) fn document(bytes: &[u8]) -> Result<Map<String, Value>, ManifestError> {
    let length = bytes.len() as u64;
    if length > MAX_MANIFEST_BYTES {
        return Err(ManifestError::TooLarge(length));
    }
    match types::json::parse(bytes)? {
        Value::Object(document) => Ok(document),
        _ => Err(ManifestError::NotAnObject),
    }
}

/// The bytes of `manifest.json`: indented for people, one field order, so that equal documents are equal bytes.
pub(crate) fn text(document: &Map<String, Value>) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(&Ordered(document)).expect("plain JSON always serialises");
    text.push(b'\n');
    text
}

/// Every field this version knows, in the order in which they are written.
const FIELDS: [&str; 20] = [
    "kind",
    "name",
    "version",
    "command",
    "args",
    "env",
    "provides",
    "nutrients",
    "slo",
    "scale",
    "security",
    "workload",
    "health",
    "interpreter",
    "files",
    "resources",
    "binary_sha256",
    "signature",
    "public_key",
    "created_at",
];

struct Ordered<'a>(&'a Map<String, Value>);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for name in FIELDS {
            if let Some(value) = self.0.get(name) {
                map.serialize_entry(name, value)?;
            }
        }
        for (name, value) in self.0.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str())) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
