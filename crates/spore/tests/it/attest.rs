//! What a spore says about itself is believed when its publisher signed it and it is about that program.

use serde_json::{Value, json};
use spore::attest::{AttestError, PROVENANCE, Provenance, SBOM};
use types::{Digest, Signer as _};

use crate::support::{Bench, Key, key};

const BINARY: &[u8] = b"program";

fn attested(path: &str, content: &[u8]) -> Result<spore::attest::Attestations, AttestError> {
    let bench = Bench::new();
    let (bytes, _) = bench.pack(BINARY, &[("a", b"first"), (path, content), ("z", b"last")]);
    let spore = spore::open(bench.file(&bytes)).unwrap();
    assert_eq!(spore.read_file("a").unwrap().as_deref(), Some(&b"first"[..]));
    assert_eq!(spore.read_file("z").unwrap().as_deref(), Some(&b"last"[..]));
    assert_eq!((spore.read_file("b").unwrap(), spore.file_size("b")), (None, None));
    spore.attestations()
}

fn provenance(binary: &[u8], predicate: &Value, signer: &Key) -> Vec<u8> {
    Provenance::seal("billing", &Digest::of(binary), predicate, signer).unwrap()
}

fn predicate() -> Value {
    json!({
        "buildDefinition": { "resolvedDependencies": [
            { "uri": "git+https://example.com/acme/billing", "digest": { "gitCommit": "0".repeat(40) } },
        ] },
        "runDetails": { "builder": { "id": "https://example.com/ci" } },
    })
}

fn refused(result: Result<spore::attest::Attestations, AttestError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_publishers_word_about_this_program_is_believed() {
    let found = attested(PROVENANCE, &provenance(BINARY, &predicate(), &key(1))).unwrap().provenance.unwrap();
    assert_eq!(found.predicate, predicate());
    assert_eq!(found.source(), Some("git+https://example.com/acme/billing"));
    assert_eq!(found.commit(), Some("0".repeat(40).as_str()));
    assert_eq!(found.builder(), Some("https://example.com/ci"));
}

#[test]
fn anothers_word_and_a_word_about_another_program_are_not() {
    let said = refused(attested(PROVENANCE, &provenance(BINARY, &predicate(), &key(2))));
    let fingerprint = key(1).public_key().fingerprint();
    assert!(said.ends_with(&format!("no signature of it holds for the key {fingerprint}")), "{said}");
    let said = refused(attested(PROVENANCE, &provenance(b"other", &predicate(), &key(1))));
    let (other, own) = (Digest::of(b"other"), Digest::of(BINARY));
    assert!(said.ends_with(&format!("it is about {other}, but the program's SHA-256 is {own}")), "{said}");
    assert!(said.starts_with("accept the spore: files/attest/provenance.dsse.json: "), "{said}");
    assert!(refused(attested(PROVENANCE, &provenance(BINARY, &json!([]), &key(1)))).contains("no object"));
    assert!(refused(attested(PROVENANCE, b"{}")).contains("not a DSSE envelope"));
}

#[test]
fn an_sbom_is_found_and_a_false_one_refused() {
    let good = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6", "components": [] }).to_string();
    assert!(attested(SBOM, good.as_bytes()).unwrap().sbom.is_some());
    assert!(refused(attested(SBOM, b"[]")).contains("files/attest/sbom.cdx.json: its \"bomFormat\""));
    let large = vec![b' '; usize::try_from(spore::attest::MAX_BYTES).unwrap() + 1];
    assert!(refused(attested(SBOM, &large)).contains("bytes are more than"));
}

#[test]
fn a_file_whose_bytes_changed_is_not_read() {
    let bench = Bench::new();
    let (mut bytes, _) = bench.pack(BINARY, &[(SBOM, b"UNIQUE-CONTENT")]);
    let at = bytes.windows(14).position(|w| w == b"UNIQUE-CONTENT").unwrap();
    bytes[at] ^= 1;
    let spore = spore::open(bench.file(&bytes)).unwrap();
    assert!(matches!(spore.read_file(SBOM), Err(spore::SporeError::Content { .. })));
}
