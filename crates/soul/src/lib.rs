//! Soul: identity and trust (who we are: key files; whom we believe: the trust store).
//!
//! It owns two places on disk, a folder of keys and `trust.json`, and nothing else. A secret never leaves
//! as text except into a key file that only its owner may read; it is wiped from memory when dropped and
//! `Debug` does not show it. What a key may *do* is not decided here: a valid signature says who signed,
//! the trust store says whether we believe them, and the caller draws the conclusion.

mod error;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod public;
mod secret;
mod trust;

pub use error::{FindError, KeyFileError, TrustError};
pub use keys::{KeyInfo, KeyStore};
pub use public::{PublicKeyError, public_key_from_text, public_key_to_pem};
pub use secret::{PemError, SecretKey};
pub use trust::{TrustStore, Trusted};
