//! The fuzz corpus of keys and trust files, replayed: each file with what must come of it.
//!
//! The secret keys in it are made of the seed of 32 ones, or altered from that, and belong to nobody.

use std::fs;

use soul::fuzzing::{trust_file, trust_file_of};
use soul::{SecretKey, public_key_from_text};
use types::Signer as _;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/keys");

/// What each of the three parsers says about a text: what it means, or why not.
fn read(bytes: &[u8]) -> [Result<String, String>; 3] {
    let text = String::from_utf8_lossy(bytes);
    [
        SecretKey::from_pem(&text).map(|key| key.public_key().to_string()).map_err(|e| e.to_string()),
        public_key_from_text(&text).map(|key| key.to_string()).map_err(|e| e.to_string()),
        trust_file(bytes).map(|all| all.len().to_string()),
    ]
}

#[test]
fn no_file_is_more_than_one_thing_and_each_reads_back() {
    for entry in fs::read_dir(FOLDER).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(read(&bytes).iter().flatten().count() <= 1);
        if let Ok(all) = trust_file(&bytes) {
            assert_eq!(trust_file(&trust_file_of(&all)).unwrap(), all);
        }
    }
}

#[test]
fn each_file_is_what_its_name_says() {
    let key = "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=";
    // the file, which parser, what it says (of a refusal: a part)
    let cases: [(&str, usize, Result<&str, &str>); 14] = [
        ("secret.pem", 0, Ok(key)),
        ("secret-encrypted.pem", 0, Err("passphrase")),
        ("secret-of-x25519.pem", 0, Err("not an Ed25519 key")),
        ("secret-of-31-bytes.pem", 0, Err("not a secret key")),
        ("public.pem", 1, Ok(key)),
        ("public.pem", 0, Err("this is a public key")),
        ("secret.pem", 1, Err("this is a secret key")),
        ("public.base64", 1, Ok(key)),
        ("public-of-small-order.base64", 1, Err("read a public key: ")),
        ("public-of-x25519.pem", 1, Err("no Ed25519 public key")),
        ("trust.json", 2, Ok("1")),
        ("trust-version-2.json", 2, Err("its version is 2")),
        ("trust-twice.json", 2, Err("stands twice")),
        ("trust-with-more.json", 2, Err("unknown field `role`")),
    ];
    for (name, parser, expected) in cases {
        let said = &read(&fs::read(format!("{FOLDER}/{name}")).unwrap())[parser];
        match (said, expected) {
            (Ok(said), Ok(expected)) => assert_eq!(said, expected, "{name}"),
            (Err(said), Err(part)) => assert!(said.contains(part), "{name}: {said}"),
            _ => panic!("{name}: {said:?}, not {expected:?}"),
        }
    }
}
