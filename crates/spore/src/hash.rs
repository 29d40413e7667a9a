//! SHA-256 over pieces, with our digest at the end.

use std::io::{self, Read};

use sha2::Digest as _;
use types::Digest;

/// A running SHA-256.
#[derive(Clone, Default)]
pub(crate) struct Sha256(sha2::Sha256);

impl Sha256 {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(self.0.finalize().into())
    }
}

/// The SHA-256 of all that `from` gives, in constant memory.
pub fn digest_of(mut from: impl Read) -> io::Result<Digest> {
    let mut hash = Sha256::default();
    let mut piece = vec![0; 256 << 10];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(hash.finish()),
            Ok(length) => hash.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
