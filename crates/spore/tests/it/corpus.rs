//! The fuzz corpora, replayed: what once was worth remembering must not panic again.

use std::fs;
use std::path::PathBuf;

use spore::{Manifest, Template, open};

use crate::support::Bench;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("{folder}: {e}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

#[test]
fn spore_open() {
    let mut accepted = 0;
    let bench = Bench::new();
    for path in corpus("spore_open") {
        let into = bench.dir.path().join("run");
        let result = open(fs::File::open(&path).unwrap()).and_then(|spore| spore.extract(None, &into));
        assert_eq!(result.is_ok(), into.exists(), "{}", path.display());
        if into.exists() {
            accepted += 1;
            fs::remove_dir_all(&into).unwrap();
        }
    }
    assert!(accepted > 0, "not one of the corpus is a spore");
}

#[test]
fn manifest() {
    let mut accepted = 0;
    for path in corpus("manifest") {
        let bytes = fs::read(&path).unwrap();
        let _ = Manifest::from_slice(&bytes);
        if let Ok(template) = Template::from_slice(&bytes) {
            accepted += 1;
            let again = serde_json::to_vec(template.document()).unwrap();
            assert_eq!(Template::from_slice(&again).unwrap(), template, "{}", path.display());
        }
    }
    assert!(accepted > 0, "not one of the corpus is a template");
}
