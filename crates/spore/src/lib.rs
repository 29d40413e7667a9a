//! Spore: the signed bundle a workload travels in (field term: application package).
//!
//! A spore is a zip of exactly one form: `manifest.json`, `binary`, then `files/**` in byte order,
//! all stored, nothing between them. [`pack`] makes one, [`open`] checks its structure and
//! signature, [`Spore::verify`] and [`Spore::extract`] check its content in one pass.
//!
//! It says who signed and that nothing changed since; whether that signer is trusted is not decided
//! here. Nothing here reads a clock, holds a secret key, or starts what it extracted.

mod archive;
pub mod attest;
pub mod bounds;
mod error;
mod extract;
mod hash;
mod identity;
mod manifest;
mod open;
mod pack;
mod path;
mod schema;
mod seal;
mod stream;
mod template;

pub use archive::FormatError;
pub use error::{PackError, SporeError};
pub use extract::Extracted;
pub use hash::digest_of;
pub use identity::{Identity, identity};
pub use manifest::{Health, Kind, Manifest, ManifestError, Needs, Provides, Security, Slo};
pub use open::{Spore, open};
pub use pack::{Packed, Source, pack};
pub use schema::schema;
pub use template::Template;
