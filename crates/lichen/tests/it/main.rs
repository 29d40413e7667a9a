//! Real bundles of the public Sigstore instance, bundles of an authority of our own, and all that can be wrong with one.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod forge;

use std::path::Path;

use forge::{Authority, Wrong};
use lichen::{Expected, Refusal, Root, verify};
use proptest::prelude::*;
use serde_json::Value;

const PUBLIC: &[u8] = include_bytes!("data/public-good.json");
/// A statement about a package, signed by a workflow.
const STATEMENT: &[u8] = include_bytes!("data/conda-attestation.sigstore.json");
const PACKAGE: &[u8] = include_bytes!("data/signed-package-2.1.0-hb0f4dca_0.conda");
const WORKFLOW: Expected = Expected {
    identity: "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main",
    issuer: "https://token.actions.githubusercontent.com",
};
const OURS: Expected = Expected { identity: "https://ci.example/acme/billing", issuer: "https://ci.example" };

fn public() -> Root {
    Root::read(PUBLIC).unwrap()
}

fn said(result: Result<(), Refusal>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_real_bundle_holds_for_its_artifact_and_its_signer_alone() {
    verify(STATEMENT, PACKAGE, &public(), WORKFLOW).unwrap();
    let other = said(verify(STATEMENT, &b"another package"[..], &public(), WORKFLOW));
    assert!(other.starts_with("the Sigstore bundle does not hold: "), "{other}");
    for expected in [
        Expected { identity: "https://github.com/mallory/x", ..WORKFLOW },
        Expected { issuer: "https://mallory.example", ..WORKFLOW },
        Expected { identity: "", ..WORKFLOW },
    ] {
        assert!(matches!(verify(STATEMENT, PACKAGE, &public(), expected), Err(Refusal::False(_))));
    }
    let elsewhere = Root::read(Authority::new().root().to_string().as_bytes()).unwrap();
    assert!(matches!(verify(STATEMENT, PACKAGE, &elsewhere, WORKFLOW), Err(Refusal::False(_))));
}

#[test]
fn a_signature_over_the_bytes_themselves_holds_too() {
    let bundle = include_bytes!("data/cosign-v3-blob.sigstore.json");
    let blob = &include_bytes!("data/cosign-v3-blob.txt")[..];
    // Whose it is stands in its certificate, and in the refusal of whoever expects another.
    let expected = Expected { identity: "somebody else", issuer: "https://github.com/login/oauth" };
    let refusal = said(verify(bundle, blob, &public(), expected));
    let identity =
        refusal.split([' ', '"', '\'', '`', ',', '(', ')']).find(|word| word.contains('@')).unwrap();
    verify(bundle, blob, &public(), Expected { identity, ..expected }).unwrap();
    assert!(verify(bundle, &b"other"[..], &public(), Expected { identity, ..expected }).is_err());
}

#[test]
fn false_bundles_that_others_found_are_refused() {
    for bundle in [
        &include_bytes!("data/bundle_cve_2022_36056.txt.sigstore")[..],
        include_bytes!("data/bundle_no_checkpoint.txt.sigstore"),
        include_bytes!("data/bundle_no_log_entry.txt.sigstore"),
    ] {
        verify(bundle, &b""[..], &public(), WORKFLOW).unwrap_err();
    }
}

#[test]
fn every_part_that_is_made_false_is_found() {
    let authority = Authority::new();
    let root = Root::read(authority.root().to_string().as_bytes()).unwrap();
    let ask = |wrong| {
        let bundle = authority.bundle(b"key", OURS.identity, OURS.issuer, wrong).to_string();
        verify(bundle.as_bytes(), &b"key"[..], &root, OURS)
    };
    ask(Wrong::Nothing).unwrap();
    for (wrong, expected) in [
        (Wrong::Sct, "SCT"),
        (Wrong::Time, "SET"),
        (Wrong::Expired, "certificate"),
        (Wrong::Checkpoint, "checkpoint"),
        (Wrong::Leaf, "inclusion proof"),
        (Wrong::Usage, "certificate chain"),
    ] {
        let refusal = said(ask(wrong));
        assert!(refusal.contains(expected), "{wrong:?}: {refusal}");
    }
}

#[test]
fn what_is_left_out_is_missed() {
    let authority = Authority::new();
    let root = Root::read(authority.root().to_string().as_bytes()).unwrap();
    let without = |pointer: &str, field: &str| {
        let mut bundle = authority.bundle(b"key", OURS.identity, OURS.issuer, Wrong::Nothing);
        bundle.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(field).unwrap();
        verify(bundle.to_string().as_bytes(), &b"key"[..], &root, OURS)
    };
    let entry = "/verificationMaterial/tlogEntries/0";
    for (pointer, field) in [
        (entry, "inclusionProof"),
        (entry, "inclusionPromise"),
        (entry, "integratedTime"),
        (entry, "canonicalizedBody"),
        ("/verificationMaterial/tlogEntries/0/inclusionProof", "checkpoint"),
        ("/verificationMaterial", "tlogEntries"),
        ("/verificationMaterial", "certificate"),
        ("", "messageSignature"),
    ] {
        assert!(without(pointer, field).is_err(), "{pointer} {field}");
    }
    let mut root: Value = authority.root();
    for part in ["tlogs", "ctlogs", "certificateAuthorities"] {
        root[part] = serde_json::json!([]);
        assert!(matches!(Root::read(root.to_string().as_bytes()), Err(Refusal::Root(_))), "{part}");
        root = authority.root();
    }
    assert!(matches!(Root::read(&vec![b' '; lichen::MAX_ROOT_BYTES + 1]), Err(Refusal::Root(_))));
    assert!(matches!(Root::read(b"{}"), Err(Refusal::Root(_))));
    let long = vec![b' '; lichen::MAX_BUNDLE_BYTES + 1];
    assert!(matches!(verify(&long, &b""[..], &public(), OURS), Err(Refusal::Bundle(_))));
}

/// What the tests of the product use: kept, so that they need no authority of their own.
#[test]
fn what_was_made_is_there_and_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/made");
    let public = std::fs::read(folder.join("publisher.pub")).unwrap();
    if std::env::var("FREEZE").is_ok() {
        let authority = Authority::new();
        let bundle = authority.bundle(&public, OURS.identity, OURS.issuer, Wrong::Nothing);
        let write = |name: &str, value: &Value| {
            std::fs::write(folder.join(name), format!("{}\n", serde_json::to_string_pretty(value).unwrap()))
                .unwrap();
        };
        write("root.json", &authority.root());
        write("publisher.sigstore.json", &bundle);
    }
    let root = Root::read(&std::fs::read(folder.join("root.json")).unwrap()).unwrap();
    let bundle = std::fs::read(folder.join("publisher.sigstore.json")).unwrap();
    verify(&bundle, &public[..], &root, OURS).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_altered_byte_makes_it_hold_for_something_else(at in 0usize..20_000, to in any::<u8>(), cut in any::<bool>()) {
        let mut altered = STATEMENT.to_vec();
        let at = at % altered.len();
        if cut {
            altered.truncate(at);
        } else {
            altered[at] = to;
        }
        // Wherever it still holds, it says the same: another artifact or signer it never names.
        let _ = verify(&altered, PACKAGE, &public(), WORKFLOW);
        prop_assert!(verify(&altered, &b"another"[..], &public(), WORKFLOW).is_err());
        prop_assert!(verify(&altered, PACKAGE, &public(), OURS).is_err());
    }

    #[test]
    fn no_altered_root_makes_anything_fall_over(at in 0usize..20_000, to in any::<u8>()) {
        let mut altered = PUBLIC.to_vec();
        let at = at % altered.len();
        altered[at] = to;
        if let Ok(root) = Root::read(&altered) {
            let _ = verify(STATEMENT, PACKAGE, &root, WORKFLOW);
        }
    }
}
