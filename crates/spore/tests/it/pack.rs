//! Packing: the same inputs make the same bytes, and what can't be a spore isn't made into one.

use std::path::PathBuf;

use serde_json::json;
use spore::{PackError, Source, Template, open, pack};
use types::{SignError, Signature, Timestamp};

use crate::support::{Bench, key, template};

/// The spore of `examples/billing.json` and two files, as every version of this code must make it.
const GOLDEN: &str = "162847d87e344f35a24f6bde023ad8d648a9053305e3a11edba46814124c8174";

fn refusal(bench: &Bench, template: &Template, files: Vec<(String, PathBuf)>) -> String {
    let binary = bench.write("program", b"program");
    let source = Source { binary: &binary, files, created_at: Timestamp::default() };
    pack(template, &source, &key(1), &mut Vec::new()).unwrap_err().to_string()
}

#[test]
fn the_same_inputs_make_the_same_bytes() {
    let (one, two) = (Bench::new(), Bench::new());
    let (first, packed) = one.pack(b"program", &[("a", b"1"), ("b/c", b"2")]);
    let (second, again) = two.pack(b"program", &[("b/c", b"2"), ("a", b"1")]);
    assert!(first == second, "the order of the sources, their folder and their times don't matter");
    assert_eq!(packed.digest, again.digest);
    assert_eq!(packed.digest.to_string(), GOLDEN);
}

#[test]
fn the_order_of_a_templates_fields_does_not_matter() {
    let bench = Bench::new();
    let one = Template::from_slice(
        br#"{"kind":"Spore","name":"a","version":"v1","command":"a","x":{"b":1,"a":2}}"#,
    );
    let two = Template::from_slice(
        br#"{"x":{"a":2,"b":1},"command":"a","version":"v1","name":"a","kind":"Spore"}"#,
    );
    let pack = |template: &Template| bench.pack_with(template, b"program", &[]).0;
    assert!(pack(&one.unwrap()) == pack(&two.unwrap()));
}

#[test]
fn anything_that_goes_in_changes_the_digest() {
    let bench = Bench::new();
    let mut other = template();
    other.set_version("v0.1.1");
    let digests = [
        bench.pack(b"program", &[("a", b"1")]).1.digest,
        bench.pack(b"Program", &[("a", b"1")]).1.digest,
        bench.pack(b"program", &[("a", b"2")]).1.digest,
        bench.pack(b"program", &[("b", b"1")]).1.digest,
        bench.pack_with(&other, b"program", &[("a", b"1")]).1.digest,
    ];
    for (at, digest) in digests.iter().enumerate() {
        assert!(!digests[at + 1..].contains(digest), "{at}");
    }
}

#[test]
fn what_a_template_says_of_integrity_is_overwritten() {
    let bench = Bench::new();
    let mut document = template().document().clone();
    for field in ["binary_sha256", "signature", "public_key", "created_at", "files"] {
        document.insert(field.to_owned(), json!("<made up>"));
    }
    let dressed = Template::from_value(json!(document)).unwrap();
    assert!(bench.pack_with(&dressed, b"program", &[]).0 == bench.pack(b"program", &[]).0);
}

#[test]
fn paths_that_cannot_be_packed_are_named() {
    let bench = Bench::new();
    let asset = bench.write("asset", b"x");
    for path in ["", "../x", "/x", "a/../../x", "a\\b"] {
        let message = refusal(&bench, &template(), vec![(path.to_owned(), asset.clone())]);
        assert!(message.contains(&format!("{path:?}")), "{message}");
    }
    let twice = vec![("a".to_owned(), asset.clone()), ("a".to_owned(), asset.clone())];
    assert!(refusal(&bench, &template(), twice).contains("\"a\" under files/: it is given twice"));
    let both = vec![("a".to_owned(), asset.clone()), ("a/b".to_owned(), asset)];
    assert!(refusal(&bench, &template(), both).contains("\"a\" is both a file and a folder"));
}

#[test]
fn sources_that_cannot_be_packed_are_named() {
    let bench = Bench::new();
    let missing = bench.dir.path().join("nowhere");
    let message = refusal(&bench, &template(), vec![("a".to_owned(), missing)]);
    assert!(message.contains("nowhere") && message.contains("No such file"), "{message}");
    let message = refusal(&bench, &template(), vec![("a".to_owned(), bench.dir.path().to_owned())]);
    assert!(message.contains("not a regular file"), "{message}");
    let empty = bench.write("empty", b"");
    let source = Source { binary: &empty, files: Vec::new(), created_at: Timestamp::default() };
    let message = pack(&template(), &source, &key(1), &mut Vec::new()).unwrap_err().to_string();
    assert!(message.contains("empty: it is empty"), "{message}");
}

#[test]
fn a_template_that_was_set_wrong_is_refused() {
    let bench = Bench::new();
    let mut wrong = template();
    wrong.set_version("v 1");
    assert!(refusal(&bench, &wrong, Vec::new()).contains("version"));
    let mut wrong = template();
    wrong.set_env("A=B", "x");
    assert!(refusal(&bench, &wrong, Vec::new()).contains("env"));
}

#[test]
fn a_signer_that_refuses_is_heard() {
    struct Locked;
    impl types::Signer for Locked {
        fn public_key(&self) -> types::PublicKey {
            key(1).public_key()
        }
        fn sign(&self, _: &[u8]) -> Result<Signature, SignError> {
            Err(SignError("the token is locked".to_owned()))
        }
    }
    let bench = Bench::new();
    let binary = bench.write("program", b"program");
    let source = Source { binary: &binary, files: Vec::new(), created_at: Timestamp::default() };
    let error = pack(&template(), &source, &Locked, &mut Vec::new()).unwrap_err();
    assert!(matches!(&error, PackError::Sign(_)), "{error}");
    assert!(error.to_string().contains("the token is locked"), "{error}");
}

#[test]
fn what_the_signer_signs_is_what_the_specification_says() {
    let bench = Bench::new();
    let (bytes, packed) = bench.pack(b"program", &[("a", b"1")]);
    let again = crate::forge::sign(packed.manifest.document().clone());
    assert_eq!(again, *packed.manifest.document());
    open(bench.file(&bytes)).unwrap();
}
