//! The same keys in OpenSSL's hands: it reads ours, we read its, and both sign and verify alike.

use std::fs;
use std::path::Path;
use std::process::Command;

use soul::{KeyStore, public_key_from_text};
use types::{Signature, Signer as _};

fn openssl(args: &[&str], dir: &Path) -> Vec<u8> {
    let output = Command::new("openssl").args(args).current_dir(dir).output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Whether there is an OpenSSL that knows Ed25519 signatures on the command line (3.0 or later).
fn skipped(test: &str) -> bool {
    let version = Command::new("openssl").arg("version").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    let usable = version.strip_prefix("OpenSSL ").is_some_and(|v| !v.starts_with(['0', '1']));
    if !usable {
        eprintln!("SKIPPED: {test} needs OpenSSL 3.0 or later, found {version:?}");
    }
    !usable
}

#[test]
fn openssl_reads_and_uses_our_keys() {
    if skipped("openssl_reads_and_uses_our_keys") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let key = KeyStore::open(dir.path()).unwrap().create("k").unwrap();
    let public = fs::read(dir.path().join("k.pub")).unwrap();
    assert_eq!(openssl(&["pkey", "-in", "k.key", "-pubout"], dir.path()), public);
    let text = openssl(&["pkey", "-pubin", "-in", "k.pub", "-noout", "-text"], dir.path());
    assert!(String::from_utf8_lossy(&text).contains("ED25519 Public-Key"));

    fs::write(dir.path().join("message"), b"what was said").unwrap();
    openssl(
        &["pkeyutl", "-sign", "-inkey", "k.key", "-rawin", "-in", "message", "-out", "theirs"],
        dir.path(),
    );
    let theirs: [u8; 64] = fs::read(dir.path().join("theirs")).unwrap().try_into().unwrap();
    let ours = key.sign(b"what was said").unwrap();
    assert_eq!(Signature::from_bytes(theirs), ours, "Ed25519 is deterministic");

    fs::write(dir.path().join("ours"), ours.as_bytes()).unwrap();
    let verify =
        ["pkeyutl", "-verify", "-pubin", "-inkey", "k.pub", "-rawin", "-in", "message", "-sigfile", "ours"];
    openssl(&verify, dir.path());
}

#[test]
fn we_read_and_use_openssls_keys() {
    if skipped("we_read_and_use_openssls_keys") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "theirs.key"], dir.path());
    let public = openssl(&["pkey", "-in", "theirs.key", "-pubout"], dir.path());
    let key = store.load("theirs").unwrap();
    assert_eq!(public_key_from_text(&String::from_utf8(public).unwrap()).unwrap(), key.public_key());
    key.public_key().verify(b"m", &key.sign(b"m").unwrap()).unwrap();
}

#[test]
fn keys_that_are_not_ours_to_use_say_what_they_are() {
    if skipped("keys_that_are_not_ours_to_use_say_what_they_are") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    let locked = ["genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:x", "-out", "locked.key"];
    openssl(&locked, dir.path());
    openssl(&["genpkey", "-algorithm", "x25519", "-out", "other.key"], dir.path());
    for (name, says) in [("locked", "encrypted with a passphrase"), ("other", "not an Ed25519 key")] {
        let text = store.load(name).unwrap_err().to_string();
        assert!(text.contains(says) && text.contains(&format!("{name}.key")), "{text}");
    }
    let public = openssl(&["pkey", "-in", "other.key", "-pubout"], dir.path());
    let text = public_key_from_text(&String::from_utf8(public).unwrap()).unwrap_err().to_string();
    assert!(text.contains("no Ed25519 public key"), "{text}");
}
