//! Any bytes as a secret key, a public key and a trust file: what is accepted is written again and read the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use soul::fuzzing::{trust_file, trust_file_of};
use soul::{SecretKey, public_key_from_text, public_key_to_pem};
use types::Signer as _;

fuzz_target!(|data: &[u8]| {
    if let Ok(all) = trust_file(data) {
        assert_eq!(trust_file(&trust_file_of(&all)).unwrap(), all);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let secret = SecretKey::from_pem(text);
    if let Ok(key) = &secret {
        assert_eq!(SecretKey::from_pem(&key.to_pem()).unwrap().public_key(), key.public_key());
    }
    if let Ok(key) = public_key_from_text(text) {
        assert!(secret.is_err(), "a secret key is taken for a public one");
        assert_eq!(public_key_from_text(&public_key_to_pem(&key)).unwrap(), key);
        assert_eq!(public_key_from_text(&key.to_string()).unwrap(), key);
    }
});
