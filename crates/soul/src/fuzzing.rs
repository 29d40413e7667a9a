//! The content of `trust.json` as a function of bytes: for the fuzz target and its corpus, for nobody else.

use crate::Trusted;
use crate::trust::format;

/// Reads the content of a `trust.json`: everybody in it, by key.
pub fn trust_file(bytes: &[u8]) -> Result<Vec<Trusted>, String> {
    Ok(format::decode(bytes)?.into_values().collect())
}

/// The content of a `trust.json` with these publishers.
#[must_use]
pub fn trust_file_of(publishers: &[Trusted]) -> Vec<u8> {
    format::encode(publishers.iter())
}
