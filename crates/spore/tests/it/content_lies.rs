//! Content that isn't what the manifest says, and files that change under the reader.

use std::os::unix::fs::FileExt as _;

use serde_json::json;
use spore::open;
use types::Digest;

use crate::forge::{bundle, document, refusal, refused, sign};
use crate::support::Bench;

const BINARY: &[u8] = b"#!/bin/sh\necho hi\n";
const FILES: [(&str, &[u8]); 2] = [("a", b"alpha"), ("b/c", b"beta")];

#[test]
fn no_bit_of_the_program_can_be_flipped_even_with_a_checksum_that_fits() {
    let bench = Bench::new();
    let document = sign(document(BINARY, &FILES));
    for bit in 0..BINARY.len() * 8 {
        let mut other = BINARY.to_vec();
        other[bit / 8] ^= 1 << (bit % 8);
        let message = refusal(&bench, &bundle(&document, &other, &FILES)).expect("an altered program passes");
        assert!(message.contains("the SHA-256 of \"binary\""), "{message}");
    }
}

#[test]
fn another_program_is_refused_and_named() {
    let document = sign(document(BINARY, &FILES));
    for other in [&b"x"[..], &BINARY[1..], &[BINARY, b"\n"].concat()] {
        refused(&bundle(&document, other, &FILES), &["\"binary\"", &Digest::of(BINARY).to_string()]);
    }
}

#[test]
fn another_file_is_refused_and_named() {
    let document = sign(document(BINARY, &FILES));
    refused(&bundle(&document, BINARY, &[("a", b"alpha"), ("b/c", b"betA")]), &["\"files/b/c\""]);
    refused(&bundle(&document, BINARY, &[("a", b""), ("b/c", b"beta")]), &["\"files/a\""]);
    refused(&bundle(&document, BINARY, &[("a", b"beta"), ("b/c", b"alpha")]), &["\"files/a\""]);
}

#[test]
fn files_and_manifest_must_name_the_same() {
    let signed = sign(document(BINARY, &FILES));
    let more: [(&str, &[u8]); 3] = [FILES[0], FILES[1], ("d", b"more")];
    refused(&bundle(&signed, BINARY, &more), &["\"files/d\" is in the bundle"]);
    refused(&bundle(&signed, BINARY, &FILES[..1]), &["names \"files/b/c\", which is not"]);
    refused(&bundle(&signed, BINARY, &FILES[1..]), &["names \"files/a\", which is not"]);
    refused(&bundle(&signed, BINARY, &[]), &["names \"files/a\", which is not"]);
    refused(&bundle(&sign(document(BINARY, &[])), BINARY, &FILES[..1]), &["\"files/a\" is in the bundle"]);
}

#[test]
fn a_wrong_checksum_is_refused_even_where_the_digest_fits() {
    let honest = bundle(&sign(document(BINARY, &[])), BINARY, &[]);
    let crc = crc32fast::hash(BINARY).to_le_bytes();
    let mut bytes = honest.clone();
    let places: Vec<usize> = (0..honest.len() - 4).filter(|at| honest[*at..at + 4] == crc).collect();
    assert_eq!(places.len(), 2, "the local header and the central directory");
    for at in places {
        bytes[at] ^= 1;
    }
    refused(&bytes, &["the CRC-32 of \"binary\""]);
}

#[test]
fn another_file_than_asked_for_is_refused() {
    let bench = Bench::new();
    let bytes = bundle(&sign(document(BINARY, &FILES)), BINARY, &FILES);
    let spore = open(bench.file(&bytes)).unwrap();
    spore.verify(Some(&Digest::of(&bytes))).unwrap();
    let asked = Digest::of(b"another");
    let into = bench.dir.path().join("run");
    for message in [spore.verify(Some(&asked)).unwrap_err(), spore.extract(Some(&asked), &into).unwrap_err()]
    {
        let message = message.to_string();
        assert!(message.contains(&asked.to_string()) && message.contains("of the file"), "{message}");
    }
    assert!(!into.exists());
}

/// Small and large enough for the pass with threads; the change is made after everything was checked once.
#[test]
fn a_file_that_changes_after_it_was_opened_is_refused() {
    for length in [64, 9 << 20] {
        let bench = Bench::new();
        let (bytes, packed) = bench.pack(&vec![7; length], &[("a", b"alpha")]);
        let path = bench.write("changing.spore", &bytes);
        let spore = open(std::fs::File::open(&path).unwrap()).unwrap();
        let writer = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        let last = bytes.len() as u64 - 1;
        for (at, culprit) in [
            (10, "a local header"),
            (60, "the manifest"),
            (last / 2, "\"binary\""),
            (last, "the central directory"),
        ] {
            let byte = bytes[usize::try_from(at).unwrap()];
            writer.write_all_at(&[byte ^ 1], at).unwrap();
            for expected in [None, Some(&packed.digest)] {
                let into = bench.dir.path().join("run");
                let message = spore.extract(expected, &into).unwrap_err().to_string();
                // With 64 bytes the middle of the file is in the manifest.
                assert!(
                    message.contains(culprit) || (length == 64 && message.contains("the manifest")),
                    "{message}"
                );
                assert!(!into.exists());
            }
            writer.write_all_at(&[byte], at).unwrap();
        }
        spore.verify(Some(&packed.digest)).unwrap();
        writer.set_len(last / 2).unwrap();
        let message = spore.verify(None).unwrap_err().to_string();
        assert!(message.contains("its length changed"), "{message}");
    }
}

#[test]
fn a_document_of_a_later_version_is_kept_whole() {
    let bench = Bench::new();
    let mut document = document(BINARY, &[]);
    document.insert("later".to_owned(), json!({ "deep": 1 }));
    document.insert("nutrients".to_owned(), json!({ "cpu_milli": 1, "memory_mb": 1, "gpu_mb": 5 }));
    let document = sign(document);
    let spore = open(bench.file(&bundle(&document, BINARY, &[]))).unwrap();
    assert_eq!(*spore.manifest().document(), document);
    assert_eq!(spore.manifest().unknown().collect::<Vec<_>>(), [("later", &json!({ "deep": 1 }))]);
    assert_eq!(serde_json::to_value(spore.manifest()).unwrap(), json!(document));
}
