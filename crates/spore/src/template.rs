//! Template: the manifest before it is signed, as people write it (`examples/*.json`).
//!
//! What is left out gets a default here and is written out in the manifest, so a signed manifest
//! hides nothing. Integrity fields that a template may carry are overwritten when it is packed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use types::{AppName, Digest, Nutrients, PublicKey, Signature, Timestamp, Workload};

use crate::manifest::{self, Manifest, ManifestError, Provides};

/// What signing and packing decide; a template's own values for them don't count.
const INTEGRITY: [&str; 5] = ["files", "binary_sha256", "signature", "public_key", "created_at"];

/// A key of full order (the curve's base point) that stands where the signer's will.
const STAND_IN_KEY: &str = "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";

/// A manifest without its integrity fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    document: Map<String, Value>,
    shape: Manifest,
}

impl Template {
    /// A template with every default: a service speaking HTTP.
    pub fn new(name: &AppName, version: &str, command: &str) -> Result<Self, ManifestError> {
        let document = json!({ "kind": "Spore", "name": name, "version": version, "command": command });
        Self::from_value(document)
    }

    /// Reads a template as strictly as a manifest; see `examples/billing.json`.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, ManifestError> {
        Self::from_document(manifest::document(bytes)?)
    }

    /// A template from JSON made elsewhere (a `mesh.toml`, say).
    pub fn from_value(document: Value) -> Result<Self, ManifestError> {
        match document {
            Value::Object(document) => Self::from_document(document),
            _ => Err(ManifestError::NotAnObject),
        }
    }

    fn from_document(mut document: Map<String, Value>) -> Result<Self, ManifestError> {
        for field in INTEGRITY {
            document.remove(field);
        }
        fill_in(&mut document);
        let shape = Manifest::from_document(stand_in(document.clone()))?;
        Ok(Self { document, shape })
    }

    /// The app it is for.
    #[must_use]
    pub const fn name(&self) -> &AppName {
        &self.shape.name
    }

    /// The version as it stands.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.shape.version
    }

    /// The program's file name in the run folder.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.shape.command
    }

    /// The arguments.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.shape.args
    }

    /// The environment.
    #[must_use]
    pub const fn env(&self) -> &BTreeMap<String, String> {
        &self.shape.env
    }

    /// What it offers.
    #[must_use]
    pub fn provides(&self) -> &[Provides] {
        &self.shape.provides
    }

    /// What kind of process it is.
    #[must_use]
    pub const fn workload(&self) -> Workload {
        self.shape.workload
    }

    /// What one replica needs.
    #[must_use]
    pub const fn nutrients(&self) -> Nutrients {
        self.shape.nutrients.planned()
    }

    /// What runs the program when it isn't native.
    #[must_use]
    pub fn interpreter(&self) -> Option<&str> {
        self.shape.interpreter.as_deref()
    }

    /// Everything that will be signed but the integrity fields, defaults filled in.
    #[must_use]
    pub const fn document(&self) -> &Map<String, Value> {
        &self.document
    }

    /// Stamps another version; [`crate::pack`] refuses it if it can't be one.
    pub fn set_version(&mut self, version: &str) {
        version.clone_into(&mut self.shape.version);
        self.document.insert("version".to_owned(), version.into());
    }

    /// Sets one environment variable; [`crate::pack`] refuses a name that can't be one.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.shape.env.insert(name.to_owned(), value.to_owned());
        self.document.insert("env".to_owned(), json!(self.shape.env));
    }

    /// Replaces the arguments.
    pub fn set_args(&mut self, args: Vec<String>) {
        self.document.insert("args".to_owned(), json!(args));
        self.shape.args = args;
    }

    /// Sets any field, known or not, checked at once.
    pub fn set(&mut self, field: &str, value: Value) -> Result<(), ManifestError> {
        let mut document = self.document.clone();
        document.insert(field.to_owned(), value);
        *self = Self::from_document(document)?;
        Ok(())
    }
}

/// Writes out what the template left to us.
fn fill_in(document: &mut Map<String, Value>) {
    let service = document.get("workload").is_none_or(|workload| workload == "service");
    let defaults = [
        ("args", json!([])),
        ("env", json!({})),
        ("provides", if service { json!(["http"]) } else { json!([]) }),
        ("nutrients", json!({ "cpu_milli": 100, "memory_mb": 64 })),
        ("slo", json!({ "p99_budget_ms": 300 })),
        ("security", json!({ "lsm_profile": "default", "read_only_fs": false })),
    ];
    for (field, default) in defaults {
        document.entry(field).or_insert(default);
    }
}

/// The document with integrity fields that have the right form and no meaning.
fn stand_in(mut document: Map<String, Value>) -> Map<String, Value> {
    let key: PublicKey = STAND_IN_KEY.parse().expect("the base point is a usable key");
    document.insert("binary_sha256".to_owned(), json!(Digest::from_bytes([0; 32])));
    document.insert("signature".to_owned(), json!(Signature::from_bytes([0; 64])));
    document.insert("public_key".to_owned(), json!(key));
    document.insert("created_at".to_owned(), json!(Timestamp::default()));
    document
}

#[cfg(test)]
mod tests;
