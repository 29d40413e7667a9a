//! Other tools read our spores: `unzip` and Python's zipfile, where this machine has them.

use std::process::Command;

use crate::support::Bench;

/// Runs `program`; nothing when it isn't installed.
fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn other_zip_readers_find_nothing_wrong() {
    let bench = Bench::new();
    let (bytes, _) = bench.pack(b"#!/bin/sh\necho hi\n", &[("a", b"alpha"), ("résumé.txt", b"see")]);
    let path = bench.write("tools.spore", &bytes);
    let path = path.to_str().unwrap();
    if let Some(said) = run("unzip", &["-t", path]) {
        assert!(said.contains("No errors detected"), "{said}");
    }
    let script = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                  print('|'.join(z.namelist())); print(z.read('files/a').decode())";
    if let Some(said) = run("python3", &["-c", script, path]) {
        assert_eq!(said, "manifest.json|binary|files/a|files/résumé.txt\nalpha\n");
    }
}
