//! A signer, sources in a temporary folder, and bundles made of them.

use std::fs::{self, File};
use std::path::PathBuf;

use ed25519_dalek::Signer as _;
use spore::{Packed, Source, Template, pack};
use tempfile::TempDir;
use types::{PublicKey, SignError, Signature, Timestamp};

pub struct Key(ed25519_dalek::SigningKey);

pub fn key(seed: u8) -> Key {
    Key(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
}

impl types::Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

pub fn template() -> Template {
    Template::from_slice(include_bytes!("../../../../examples/billing.json")).unwrap()
}

/// A folder of sources.
pub struct Bench {
    pub dir: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self::in_folder(std::env::temp_dir())
    }

    pub fn in_folder(folder: PathBuf) -> Self {
        Self { dir: tempfile::tempdir_in(folder).unwrap() }
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn pack_with(
        &self,
        template: &Template,
        binary: &[u8],
        files: &[(&str, &[u8])],
    ) -> (Vec<u8>, Packed) {
        let binary = self.write("source", binary);
        let files = files
            .iter()
            .enumerate()
            .map(|(at, (path, bytes))| ((*path).to_owned(), self.write(&format!("source-{at}"), bytes)))
            .collect();
        let source = Source { binary: &binary, files, created_at: Timestamp::from_secs(1_757_116_800) };
        let mut bytes = Vec::new();
        let packed = pack(template, &source, &key(1), &mut bytes).unwrap();
        (bytes, packed)
    }

    pub fn pack(&self, binary: &[u8], files: &[(&str, &[u8])]) -> (Vec<u8>, Packed) {
        self.pack_with(&template(), binary, files)
    }

    pub fn file(&self, bytes: &[u8]) -> File {
        File::open(self.write("bundle.spore", bytes)).unwrap()
    }
}
