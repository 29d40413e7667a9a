//! The trust store: one file, many processes, no silent loss.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use soul::{FindError, SecretKey, TrustError, TrustStore};
use types::{PublicKey, Signer as _, Timestamp};

const NOW: Timestamp = Timestamp::from_secs(1_757_116_800);

fn key() -> PublicKey {
    SecretKey::generate().unwrap().public_key()
}

#[test]
fn nobody_is_trusted_until_added_and_after_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    let (friend, stranger) = (key(), key());
    assert!(!store.trusts(&friend).unwrap() && store.list().unwrap().is_empty());
    assert!(store.add(friend, "a friend", NOW).unwrap());
    assert!(store.trusts(&friend).unwrap() && !store.trusts(&stranger).unwrap());
    let listed = store.list().unwrap();
    assert_eq!((listed[0].comment.as_str(), listed[0].added_at), ("a friend", NOW));
    assert_eq!(listed[0].fingerprint, friend.fingerprint());
    assert!(store.remove(&friend).unwrap() && !store.remove(&friend).unwrap());
    assert!(!store.trusts(&friend).unwrap());
}

#[test]
fn adding_twice_keeps_the_date_and_takes_the_new_comment() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    let friend = key();
    assert!(store.add(friend, "old", NOW).unwrap());
    assert!(!store.add(friend, "new", Timestamp::from_secs(9)).unwrap());
    assert!(!store.add(friend, "", Timestamp::from_secs(9)).unwrap());
    let listed = store.list().unwrap();
    assert_eq!((listed.len(), listed[0].comment.as_str(), listed[0].added_at), (1, "new", NOW));
}

#[test]
fn a_running_process_sees_what_another_adds_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (daemon, cli) = (TrustStore::open(dir.path()).unwrap(), TrustStore::open(dir.path()).unwrap());
    for _ in 0..200 {
        let friend = key();
        assert!(!daemon.trusts(&friend).unwrap());
        cli.add(friend, "", NOW).unwrap();
        assert!(daemon.trusts(&friend).unwrap());
        cli.remove(&friend).unwrap();
        assert!(!daemon.trusts(&friend).unwrap());
    }
    fs::remove_file(daemon.path()).unwrap();
    assert!(daemon.list().unwrap().is_empty());
}

#[test]
fn concurrent_adds_all_stay() {
    let dir = tempfile::tempdir().unwrap();
    let add_some = || {
        let store = TrustStore::open(dir.path()).unwrap();
        let keys: Vec<_> = (0..20).map(|_| key()).collect();
        keys.iter().for_each(|key| assert!(store.add(*key, "", NOW).unwrap()));
        keys
    };
    let added: BTreeSet<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6).map(|_| scope.spawn(add_some)).collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let listed = TrustStore::open(dir.path()).unwrap().list().unwrap();
    assert_eq!(listed.iter().map(|t| t.public_key).collect::<BTreeSet<_>>(), added);
    assert_eq!(added.len(), 120);
}

#[test]
fn garbage_is_an_error_that_names_the_file_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    store.add(key(), "a friend", NOW).unwrap();
    let good = fs::read_to_string(store.path()).unwrap();
    let entry = good.split_once('[').unwrap().1.rsplit_once(']').unwrap().0;
    let bad = [
        String::new(),
        "garbage".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        good[..good.len() / 2].to_owned(),
        good.replace("\"version\": 1", "\"version\": 2"),
        good.replace("\"comment\"", "\"note\""),
        good.replace("\"version\": 1", "\"version\": 1, \"version\": 1"),
        good.replace(entry, &format!("{entry},{entry}")),
        good.replace("\"public_key\": \"", "\"public_key\": \"AAAA"),
    ];
    for bad in bad {
        fs::write(store.path(), &bad).unwrap();
        let errors = [
            store.trusts(&key()).unwrap_err(),
            store.add(key(), "", NOW).unwrap_err(),
            store.remove(&key()).unwrap_err(),
            TrustStore::open(dir.path()).unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, TrustError::Malformed { .. }), "{error}");
            assert!(error.to_string().contains(store.path().to_str().unwrap()), "{error}");
        }
        assert_eq!(fs::read_to_string(store.path()).unwrap(), bad, "it is left as it is");
    }
    fs::write(store.path(), good).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn a_store_that_others_may_write_to_is_refused_with_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    store.add(key(), "", NOW).unwrap();
    fs::set_permissions(store.path(), Permissions::from_mode(0o666)).unwrap();
    let text = store.trusts(&key()).unwrap_err().to_string();
    assert!(text.ends_with(&format!("run: chmod go-w {}", store.path().display())), "{text}");
}

#[test]
fn finds_by_key_fingerprint_prefix_or_comment() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    let (alice, bob) = (key(), key());
    store.add(alice, "alice", NOW).unwrap();
    store.add(bob, "bob", NOW).unwrap();
    let print = alice.fingerprint().to_string();
    let texts = [
        alice.to_string(),
        soul::public_key_to_pem(&alice),
        print.clone(),
        print["SHA256:".len()..].to_owned(),
        print[..20].to_owned(),
        "alice".to_owned(),
        " alice\n".to_owned(),
    ];
    for text in texts {
        assert_eq!(store.find(&text).unwrap().public_key, alice, "{text:?}");
    }
    for text in ["", "carol", "SHA256:", &key().to_string()] {
        assert!(matches!(store.find(text), Err(FindError::None { .. })), "{text:?}");
    }
    store.add(key(), "alice", NOW).unwrap();
    let error = store.find("alice").unwrap_err();
    assert!(error.to_string().contains(&print), "{error}");
    assert!(matches!(error, FindError::Ambiguous { .. }));
}

#[test]
fn a_comment_is_one_short_line() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    for bad in ["two\nlines", "\x1b[31mred", &"x".repeat(257)] {
        assert!(matches!(store.add(key(), bad, NOW), Err(TrustError::Comment { .. })));
    }
    assert!(!store.path().exists());
}

#[test]
fn a_comment_that_could_not_be_added_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = TrustStore::open(dir.path()).unwrap();
    let friend = key();
    store.add(friend, &"x".repeat(256), NOW).unwrap();
    let good = fs::read_to_string(store.path()).unwrap();
    for bad in ["two\\nlines", "\\u001b[31mred", "\\u009bred", &"x".repeat(257)] {
        let bad = good.replace(&"x".repeat(256), bad);
        fs::write(store.path(), &bad).unwrap();
        let text = store.list().unwrap_err().to_string();
        let about = format!("{}: the comment of {friend} ", store.path().display());
        assert!(text.contains(&about), "{text}");
        assert!(store.add(key(), "", NOW).is_err());
        assert_eq!(fs::read_to_string(store.path()).unwrap(), bad, "it is left as it is");
    }
    fs::write(store.path(), good).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(comments in proptest::collection::vec("\\PC{0,40}", 0..5)) {
        let dir = tempfile::tempdir().unwrap();
        let store = TrustStore::open(dir.path()).unwrap();
        for comment in &comments {
            store.add(key(), comment, NOW).unwrap();
        }
        prop_assert_eq!(TrustStore::open(dir.path()).unwrap().list().unwrap(), store.list().unwrap());
        prop_assert_eq!(store.list().unwrap().len(), comments.len());
    }

    #[test]
    fn no_content_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("trust.json"), bytes).unwrap();
        prop_assert!(TrustStore::open(dir.path()).is_err());
    }
}
