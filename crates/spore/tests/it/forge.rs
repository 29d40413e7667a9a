//! A second, careless writer of bundles: it writes whatever it is told, with checksums that fit.

use serde_json::{Map, Value, json};
use spore::open;
use types::{Digest, Signer as _};

use crate::support::{Bench, key, template};

/// An entry as it will be written.
#[derive(Clone)]
pub struct Part {
    pub name: Vec<u8>,
    pub content: Vec<u8>,
}

pub fn part(name: &str, content: &[u8]) -> Part {
    Part { name: name.as_bytes().to_vec(), content: content.to_vec() }
}

/// The entries, in the order and under the names given, as one zip.
pub fn zip(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for Part { name, content } in parts {
        let offset = u32::try_from(bytes.len()).unwrap();
        let size = u32::try_from(content.len()).unwrap().to_le_bytes();
        let crc = crc32fast::hash(content).to_le_bytes();
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let shared = [&[20, 0, 0, 8, 0, 0, 0, 0, 0x21, 0][..], &crc, &size, &size, &length, &[0, 0]].concat();
        bytes.extend([b"PK\x03\x04", &shared[..], name, content].concat());
        let mode: u32 = if name == b"binary" { 0o100_755 } else { 0o100_644 };
        let attributes = (mode << 16).to_le_bytes();
        let rest = [&[0; 6][..], &attributes, &offset.to_le_bytes()].concat();
        directory.extend([b"PK\x01\x02", &[0x1e, 3][..], &shared, &rest, name].concat());
    }
    let count = u16::try_from(parts.len()).unwrap().to_le_bytes();
    let (size, offset) = (u32::try_from(directory.len()).unwrap(), u32::try_from(bytes.len()).unwrap());
    bytes.extend(&directory);
    let end = [&[0; 4][..], &count, &count, &size.to_le_bytes(), &offset.to_le_bytes(), &[0; 2]].concat();
    bytes.extend([b"PK\x05\x06", &end[..]].concat());
    bytes
}

/// A document that would be signed for `binary` and `files`, without its signature.
pub fn document(binary: &[u8], files: &[(&str, &[u8])]) -> Map<String, Value> {
    let mut document = template().document().clone();
    let files: Map<String, Value> =
        files.iter().map(|(path, content)| ((*path).to_owned(), json!(Digest::of(content)))).collect();
    document.insert("files".to_owned(), Value::Object(files));
    document.insert("binary_sha256".to_owned(), json!(Digest::of(binary)));
    document.insert("public_key".to_owned(), json!(key(1).public_key()));
    document.insert("created_at".to_owned(), json!("2025-09-06T00:00:00Z"));
    document
}

/// The document with a signature that holds, computed as the specification says and not by our code.
pub fn sign(mut document: Map<String, Value>) -> Map<String, Value> {
    document.remove("signature");
    let mut message = serde_json_canonicalizer::to_vec(&document).unwrap();
    let binary: Digest = serde_json::from_value(document["binary_sha256"].clone()).unwrap();
    message.extend(binary.as_bytes());
    let signature = key(1).sign(Digest::of(&message).as_bytes()).unwrap();
    document.insert("signature".to_owned(), json!(signature));
    document
}

/// A whole bundle whose manifest is `document`.
pub fn bundle(document: &Map<String, Value>, binary: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut parts =
        vec![part("manifest.json", &serde_json::to_vec(document).unwrap()), part("binary", binary)];
    parts.extend(files.iter().map(|(path, content)| part(&format!("files/{path}"), content)));
    zip(&parts)
}

/// What opening and verifying `bytes` says.
pub fn refusal(bench: &Bench, bytes: &[u8]) -> Option<String> {
    let result = open(bench.file(bytes)).and_then(|spore| spore.verify(None));
    result.err().map(|error| error.to_string())
}

/// Asserts that `bytes` are refused with a message that holds each of `culprits`.
#[track_caller]
pub fn refused(bytes: &[u8], culprits: &[&str]) {
    let bench = Bench::new();
    let message = refusal(&bench, bytes).expect("it must be refused");
    for culprit in culprits {
        assert!(message.contains(culprit), "{culprit:?} is not in: {message}");
    }
    let into = bench.dir.path().join("run");
    let _ =
        open(bench.file(bytes)).and_then(|spore| spore.extract(None, &into)).expect_err("nor be extracted");
    assert!(!into.exists(), "something is left behind");
}

#[test]
fn what_the_forger_makes_honestly_is_accepted() {
    let files: [(&str, &[u8]); 2] = [("a", b"1"), ("b/c", b"2")];
    let bytes = bundle(&sign(document(b"program", &files)), b"program", &files);
    assert_eq!(refusal(&Bench::new(), &bytes), None);
}
