//! What is packed opens, verifies and extracts to what went in.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use spore::open;
use types::Digest;

use crate::support::Bench;

#[test]
fn a_spore_comes_out_as_it_went_in() {
    let bench = Bench::new();
    let files: [(&str, &[u8]); 3] = [("b/c.txt", b"see"), ("a.txt", b""), ("b/d/e", b"deep")];
    let (bytes, packed) = bench.pack(b"#!/bin/sh\necho hi\n", &files);
    assert_eq!(packed.digest, Digest::of(&bytes));
    assert_eq!(packed.bytes, bytes.len() as u64);
    let spore = open(bench.file(&bytes)).unwrap();
    assert_eq!(*spore.manifest(), packed.manifest);
    spore.verify(None).unwrap();
    spore.verify(Some(&packed.digest)).unwrap();
    let into = bench.dir.path().join("run");
    let mut extracted = spore.extract(Some(&packed.digest), &into).unwrap();
    assert_eq!(extracted.program, into.join("billing"));
    let mut run = Vec::new();
    extracted.executable.read_to_end(&mut run).unwrap();
    assert_eq!(run, b"#!/bin/sh\necho hi\n");
    assert_eq!(fs::metadata(&extracted.program).unwrap().permissions().mode() & 0o7777, 0o555);
    for (path, content) in files {
        let path = into.join("files").join(path);
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o444);
    }
    assert!(fs::read(into.join("manifest.json")).unwrap().starts_with(b"{\n  \"kind\": \"Spore\""));
}
