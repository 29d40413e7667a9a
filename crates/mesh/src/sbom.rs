//! The SBOM of a bundle (CycloneDX 1.6), made of what stands beside the program: what a lock file says, what a Go
//! program says of itself, and the files that are packed, by their SHA-256.
//!
//! It says where it has each thing from, and claims no more than that: a lock file may name what was not linked, and
//! one of direct dependencies leaves out theirs. Same inputs, same bytes: its serial number is made of its content.

mod cargo;
mod go;
mod maven;
mod npm;
mod python;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use spore::Template;
use types::{Digest, Timestamp};

use crate::failure::Failure;

pub use source::{Found, find};

/// One library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Library {
    /// Its name, as its ecosystem writes it.
    pub name: String,
    /// Its version; none where nothing says which.
    pub version: Option<String>,
    /// Its package URL.
    pub purl: String,
    /// What its content hashes to: CycloneDX's name of the algorithm, and hex.
    pub hash: Option<(&'static str, String)>,
}

/// What the document is about.
pub struct About<'a> {
    /// The manifest.
    pub template: &'a Template,
    /// The SHA-256 of the program.
    pub binary: Digest,
    /// The files that come with it: path and SHA-256.
    pub files: &'a [(String, Digest)],
    /// When it was made.
    pub created_at: Timestamp,
}

/// The document.
pub fn document(about: &About, found: &Found) -> Result<Vec<u8>, Failure> {
    let mut document = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": about.created_at,
            "tools": { "components": [{ "type": "application", "name": "mesh", "version": crate::cli::VERSION }] },
            "component": {
                "type": "application",
                "bom-ref": "program",
                "name": about.template.name(),
                "version": about.template.version(),
                "hashes": [{ "alg": "SHA-256", "content": about.binary }],
            },
            "properties": [
                { "name": "mycelium:sbom:source", "value": found.source },
                { "name": "mycelium:sbom:covers", "value": found.covers },
            ],
        },
        "components": components(about, found),
    });
    let plain = serde_json::to_vec(&document).map_err(|e| Failure::new(e.to_string()))?;
    document["serialNumber"] = json!(serial(&plain));
    let mut text = serde_json::to_vec_pretty(&document).map_err(|e| Failure::new(e.to_string()))?;
    text.push(b'\n');
    Ok(text)
}

fn components(about: &About, found: &Found) -> Vec<Value> {
    let libraries: BTreeMap<_, _> = found.libraries.iter().map(|library| (&library.purl, library)).collect();
    let mut all: Vec<Value> = libraries
        .values()
        .map(|library| {
            let mut component = json!({
                "type": "library", "bom-ref": library.purl, "name": library.name, "purl": library.purl,
            });
            if let Some(version) = &library.version {
                component["version"] = json!(version);
            }
            if let Some((algorithm, content)) = &library.hash {
                component["hashes"] = json!([{ "alg": algorithm, "content": content }]);
            }
            component
        })
        .collect();
    all.extend(about.files.iter().map(|(path, digest)| {
        json!({
            "type": "file", "bom-ref": format!("file:{path}"), "name": path,
            "hashes": [{ "alg": "SHA-256", "content": digest }],
        })
    }));
    all
}

/// A UUID (RFC 9562 version 8) of what the document says, so that the same document has the same.
fn serial(document: &[u8]) -> String {
    let mut hex: Vec<char> = Digest::of(document).to_string().chars().take(32).collect();
    hex[12] = '8';
    hex[16] = '8';
    let part = |from: usize, to: usize| hex[from..to].iter().collect::<String>();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// Reads a document that somebody else made and checks that it is one.
pub fn given(path: &Path) -> Result<Vec<u8>, Failure> {
    let unread = |e| Failure::usage(format_args!("failed to read the SBOM {}: {e}", path.display()));
    let length = std::fs::metadata(path).map_err(unread)?.len();
    if length > spore::attest::MAX_BYTES {
        return Err(Failure::usage(format_args!(
            "the SBOM {} has {length} bytes, more than {}",
            path.display(),
            spore::attest::MAX_BYTES
        )));
    }
    let bytes = std::fs::read(path).map_err(unread)?;
    match spore::attest::Sbom::read(&bytes) {
        Ok(_) => Ok(bytes),
        Err(problem) => {
            Err(Failure::usage(format_args!("{} is no CycloneDX SBOM in JSON: {problem}", path.display()))
                .hint("without a FILE, --sbom makes one"))
        }
    }
}

/// The SHA-256 of each file, by its path under `files/`.
pub fn digests(files: &[(String, PathBuf)]) -> Result<Vec<(String, Digest)>, Failure> {
    files.iter().map(|(path, from)| Ok((path.clone(), digest(from)?))).collect()
}

/// The SHA-256 of a file.
pub fn digest(path: &Path) -> Result<Digest, Failure> {
    std::fs::File::open(path)
        .and_then(spore::digest_of)
        .map_err(|e| Failure::new(format_args!("failed to read {}: {e}", path.display())))
}

/// A text as part of a package URL: what may stand there as it is, the rest percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

#[cfg(test)]
mod tests;
