//! Any bytes as a manifest or a template: what is accepted reads back, and packs into a spore that opens.

#![no_main]

use std::fs::File;
use std::path::Path;

use ed25519_dalek::{Signer as _, SigningKey};
use libfuzzer_sys::fuzz_target;
use rustix::fs::{MemfdFlags, memfd_create};
use spore::{Manifest, Source, Template};
use types::{PublicKey, SignError, Signature, Timestamp};

struct Key(SigningKey);

impl types::Signer for Key {
    fn public_key(&self) -> PublicKey {
        PublicKey::from_bytes(self.0.verifying_key().as_bytes()).unwrap()
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignError> {
        Ok(Signature::from_bytes(self.0.sign(message).to_bytes()))
    }
}

fuzz_target!(|data: &[u8]| {
    if let Ok(manifest) = Manifest::from_slice(data) {
        let text = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(Manifest::from_slice(&text).unwrap(), manifest);
    }
    let Ok(template) = Template::from_slice(data) else { return };
    let text = serde_json::to_vec(template.document()).unwrap();
    assert_eq!(Template::from_slice(&text).unwrap(), template);

    let key = Key(SigningKey::from_bytes(&[1; 32]));
    let source = Source {
        binary: Path::new("/proc/self/cmdline"),
        files: Vec::new(),
        created_at: Timestamp::default(),
    };
    let mut file = File::from(memfd_create("spore", MemfdFlags::CLOEXEC).unwrap());
    let packed = spore::pack(&template, &source, &key, &mut file).unwrap();
    spore::open(file).unwrap().verify(Some(&packed.digest)).unwrap();
});
