//! The key a spore is signed with: a named key, a key file, or the development key that is made on first use.

use std::path::Path;

use mycelium::Paths;
use soul::{KeyStore, SecretKey, TrustStore};
use types::Signer as _;

use crate::context::Context;
use crate::failure::Failure;

/// The key that signs when none is named: this person's, for this machine.
const DEVELOPMENT: &str = "dev";

/// The key that `--key` names, or the development key.
pub fn load(context: &Context, key: Option<&str>) -> Result<SecretKey, Failure> {
    let paths = context.paths()?;
    let store = KeyStore::open(&paths.keys())?;
    match key {
        None => development(context, &paths, &store),
        Some(path) if path.contains('/') => Ok(KeyStore::load_file(Path::new(path))?),
        Some(name) => Ok(store.load(name)?),
    }
}

/// Made once and trusted on this machine, both visibly. Whoever removes the trust later is obeyed.
fn development(context: &Context, paths: &Paths, store: &KeyStore) -> Result<SecretKey, Failure> {
    let (key, created) = store.ensure(DEVELOPMENT)?;
    if created {
        TrustStore::open(&paths.trust())?.add(key.public_key(), "development key of this machine", now())?;
        context.out.note(format_args!(
            "created development key {DEVELOPMENT} and trusted it on this machine: {}",
            key.fingerprint()
        ));
    }
    Ok(key)
}

/// The moment, for what is written down by people's hands.
pub fn now() -> types::Timestamp {
    std::time::SystemTime::now().into()
}
