//! The JSON Schema (draft 2020-12) of the manifest, as it is committed under `schemas/`.

use schemars::{Schema, schema_for};

use crate::Manifest;

/// The schema of a signed `manifest.json`. Rules it can't state are checked by [`Manifest::from_slice`] alone.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Manifest)
}
