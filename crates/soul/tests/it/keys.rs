//! Key files: made whole, readable by their owner only, never overwritten.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Barrier;

use proptest::prelude::*;
use soul::{KeyFileError, KeyStore, SecretKey, public_key_from_text};
use types::Signer as _;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_key_is_two_files() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("config/mesh/keys");
    let store = KeyStore::open(&folder).unwrap();
    let key = store.create("default").unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("default.key")), 0o600);
    assert_eq!(mode(&folder.join("default.pub")), 0o644);
    assert!(!folder.join(".new").exists());
    let public = fs::read_to_string(folder.join("default.pub")).unwrap();
    assert_eq!(public_key_from_text(&public).unwrap(), key.public_key());
    assert_eq!(public_key_from_text(&key.public_key().to_string()).unwrap(), key.public_key());
    let secret = fs::read_to_string(folder.join("default.key")).unwrap();
    assert!(public_key_from_text(&secret).unwrap_err().to_string().contains("this is a secret key"));
    for same in [store.load("default").unwrap(), KeyStore::load_file(&folder.join("default.key")).unwrap()] {
        assert_eq!(same.public_key(), key.public_key());
        assert_eq!(same.sign(b"m").unwrap(), key.sign(b"m").unwrap());
    }
}

#[test]
fn a_key_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    let key = store.create("default").unwrap();
    let error = store.create("default").unwrap_err();
    assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
    assert_eq!(store.load("default").unwrap().public_key(), key.public_key());
}

#[test]
fn a_key_that_others_may_read_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    store.create("default").unwrap();
    let path = dir.path().join("default.key");
    for bad in [0o640, 0o604, 0o660, 0o644] {
        fs::set_permissions(&path, Permissions::from_mode(bad)).unwrap();
        let text = store.load("default").unwrap_err().to_string();
        assert!(text.ends_with(&format!("run: chmod 600 {}", path.display())), "{text}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    store.load("default").unwrap();
}

#[test]
fn a_folder_that_others_may_write_to_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("it's shared");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
    let text = KeyStore::open(&folder).unwrap_err().to_string();
    let quoted = format!("'{}/it'\\''s shared'", dir.path().display());
    assert!(text.ends_with(&format!("run: chmod go-w {quoted}")), "{text}");
}

#[test]
fn names_are_file_names() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    for bad in ["", ".", "..", "../x", "a/b", "-x", ".x", "a b", "ä", "a\0", &"x".repeat(65)] {
        for error in [store.create(bad).unwrap_err(), store.load(bad).unwrap_err()] {
            assert!(matches!(error, KeyFileError::Name(_)), "{bad:?}: {error}");
        }
    }
    store.create(&"x".repeat(64)).unwrap();
}

#[test]
fn a_missing_key_names_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let error = KeyStore::open(dir.path()).unwrap().load("nobody").unwrap_err();
    assert!(matches!(&error, KeyFileError::NotFound { path } if path.ends_with("nobody.key")), "{error}");
}

#[test]
fn ensure_makes_one_key_however_many_ask() {
    let dir = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(8);
    let ask = || {
        let store = KeyStore::open(dir.path()).unwrap();
        barrier.wait();
        let (key, created) = store.ensure("operator").unwrap();
        (key.public_key(), created)
    };
    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(answers.iter().all(|(key, _)| *key == answers[0].0));
    assert_eq!(answers.iter().filter(|(_, created)| *created).count(), 1);
}

#[test]
fn one_bad_key_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    let key = store.create("b").unwrap();
    fs::write(dir.path().join("a.key"), "not a key").unwrap();
    fs::set_permissions(dir.path().join("a.key"), Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 2);
    let error = listed[0].as_ref().unwrap_err();
    assert!(matches!(error, KeyFileError::Malformed { path, .. } if path.ends_with("a.key")), "{error}");
    let info = listed[1].as_ref().unwrap();
    assert_eq!((info.name.as_str(), info.public_key), ("b", key.public_key()));
    assert_eq!(info.fingerprint, key.fingerprint());
}

#[test]
fn a_lost_public_file_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    store.create("default").unwrap();
    let public = fs::read(dir.path().join("default.pub")).unwrap();
    fs::remove_file(dir.path().join("default.pub")).unwrap();
    store.load("default").unwrap();
    assert_eq!(fs::read(dir.path().join("default.pub")).unwrap(), public);
}

#[test]
fn what_a_crash_left_is_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = KeyStore::open(dir.path()).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", dir.path().join(".new")).unwrap();
    store.create("default").unwrap();
    assert!(fs::symlink_metadata(dir.path().join("default.key")).unwrap().is_file());
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn a_folder_or_a_huge_file_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    assert!(KeyStore::load_file(dir.path()).is_err());
    let huge = dir.path().join("huge");
    fs::write(&huge, vec![b'-'; 1 << 20]).unwrap();
    fs::set_permissions(&huge, Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(KeyStore::load_file(&huge), Err(KeyFileError::Malformed { .. })));
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,300}", label in "[A-Z ]{0,20}", base64 in "[A-Za-z0-9+/=\n]{0,200}") {
        for text in [text, format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")] {
            let _ = SecretKey::from_pem(&text);
            let _ = public_key_from_text(&text);
        }
    }

    /// A key whose file was altered anywhere is refused, or is the same key (case of nothing, white space).
    #[test]
    fn an_altered_key_file_never_panics(at in 0..120_usize, byte in any::<u8>()) {
        let key = SecretKey::generate().unwrap();
        let mut pem = key.to_pem().as_bytes().to_vec();
        let at = at % pem.len();
        pem[at] = byte;
        if let Ok(text) = String::from_utf8(pem) {
            let _ = SecretKey::from_pem(&text);
        }
    }
}
