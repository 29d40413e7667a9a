//! Signatures and keys that lie, and what the signature covers: everything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use types::Signer as _;

use crate::forge::{bundle, document, refusal, refused, sign};
use crate::support::{Bench, key};

const BINARY: &[u8] = b"program";

fn signed() -> Map<String, Value> {
    let mut document = document(BINARY, &[]);
    for (field, value) in [
        ("workload", json!("service")),
        ("health", json!({ "path": "/health", "timeout_ms": 6000 })),
        ("interpreter", json!("sh")),
        ("resources", json!({ "gpu": 1 })),
        ("later", json!({ "deep": { "er": 1 } })),
    ] {
        document.insert(field.to_owned(), value);
    }
    sign(document)
}

#[track_caller]
fn refused_as_altered(document: &Map<String, Value>) {
    refused(&bundle(document, BINARY, &[]), &["the signature does not hold"]);
}

#[test]
fn no_field_can_be_altered() {
    let alterations = [
        ("name", json!("billing2")),
        ("version", json!("v0.1.1")),
        ("command", json!("billing2")),
        ("args", json!(["-v"])),
        ("env", json!({ "GREETING": "ho" })),
        ("provides", json!(["tcp"])),
        ("nutrients", json!({ "cpu_milli": 201, "memory_mb": 128 })),
        ("slo", json!({ "p99_budget_ms": 301 })),
        ("security", json!({ "lsm_profile": "unconfined", "read_only_fs": false })),
        ("health", json!({ "path": "/healthz", "timeout_ms": 6000 })),
        ("interpreter", json!("bash")),
        ("resources", json!({ "gpu": 2 })),
        ("later", json!({ "deep": { "er": 2 } })),
        ("public_key", json!(key(2).public_key())),
        ("created_at", json!("2025-09-06T00:00:01Z")),
        ("new", json!(true)),
    ];
    assert_eq!(refusal(&Bench::new(), &bundle(&signed(), BINARY, &[])), None);
    for (field, value) in alterations {
        let mut document = signed();
        assert_ne!(document.get(field), Some(&value), "{field}");
        document.insert(field.to_owned(), value);
        refused_as_altered(&document);
    }
    // The rest can only be altered together with what they state.
    let mut worker = signed();
    worker.insert("workload".to_owned(), json!("worker"));
    worker.insert("provides".to_owned(), json!([]));
    refused_as_altered(&worker);
    let mut other = signed();
    other.insert("binary_sha256".to_owned(), json!(types::Digest::of(b"other")));
    refused(&bundle(&other, b"other", &[]), &["the signature does not hold"]);
    let mut more = signed();
    more.insert("files".to_owned(), json!({ "a": types::Digest::of(b"a") }));
    refused(&bundle(&more, BINARY, &[("a", b"a")]), &["the signature does not hold"]);
}

#[test]
fn no_field_can_be_taken_out() {
    for field in ["workload", "health", "interpreter", "resources", "later", "files"] {
        let mut document = signed();
        document.remove(field).unwrap();
        refused_as_altered(&document);
    }
}

#[test]
fn no_bit_of_the_signature_can_be_flipped() {
    let bench = Bench::new();
    let good = STANDARD.decode(signed()["signature"].as_str().unwrap()).unwrap();
    for bit in 0..512 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let mut document = signed();
        document.insert("signature".to_owned(), json!(STANDARD.encode(bad)));
        let message = refusal(&bench, &bundle(&document, BINARY, &[])).expect("an altered signature passes");
        assert!(message.contains("the signature does not hold"), "{message}");
    }
}

#[test]
fn a_malleable_signature_is_refused() {
    // S + L is the same scalar to whoever doesn't check its range.
    let order = 27_742_317_777_372_353_535_851_937_790_883_648_493u128.to_le_bytes();
    let mut bytes = STANDARD.decode(signed()["signature"].as_str().unwrap()).unwrap();
    let mut carry = 0u16;
    for at in 0..32 {
        let l = order.get(at).copied().unwrap_or(if at == 31 { 0x10 } else { 0 });
        carry += u16::from(bytes[32 + at]) + u16::from(l);
        bytes[32 + at] = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    let mut document = signed();
    document.insert("signature".to_owned(), json!(STANDARD.encode(bytes)));
    refused_as_altered(&document);
}

#[test]
fn signatures_of_another_form_are_refused() {
    let good = signed()["signature"].as_str().unwrap().to_owned();
    let url = good.replace('+', "-").replace('/', "_");
    for (text, culprit) in [
        (STANDARD.encode([0; 63]), "63 bytes"),
        (STANDARD.encode([0; 65]), "65 bytes"),
        (String::new(), "0 bytes"),
        (good.trim_end_matches('=').to_owned(), "not base64"),
        (format!("{good}\n"), "not base64"),
        (format!("{}x", if url == good { "-" } else { &url }), "not base64"),
    ] {
        let mut document = signed();
        document.insert("signature".to_owned(), json!(text));
        refused(&bundle(&document, BINARY, &[]), &["manifest.json: signature", culprit]);
    }
    let mut document = signed();
    document.insert("signature".to_owned(), json!(STANDARD.encode([0; 64])));
    refused_as_altered(&document);
}

#[test]
fn keys_that_anybody_could_sign_for_are_refused() {
    // The eight points of small order and two encodings that no one should accept (RFC 8032 §5.1.3).
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    for (point, culprit) in [
        ("0100000000000000000000000000000000000000000000000000000000000000", "small order"),
        ("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "small order"),
        ("0000000000000000000000000000000000000000000000000000000000000000", "small order"),
        ("0000000000000000000000000000000000000000000000000000000000000080", "small order"),
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "small order"),
        ("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", "small order"),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "small order"),
        ("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", "small order"),
        ("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "public key"),
        ("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", "public key"),
    ] {
        let mut document = signed();
        document.insert("public_key".to_owned(), json!(STANDARD.encode(hex(point))));
        refused(&bundle(&document, BINARY, &[]), &["manifest.json: public_key", culprit]);
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    for length in [0, 1, 31, 33, 64] {
        let mut document = signed();
        document.insert("public_key".to_owned(), json!(STANDARD.encode(vec![7; length])));
        let culprit = format!("{length} bytes instead of 32");
        refused(&bundle(&document, BINARY, &[]), &["manifest.json: public_key", &culprit]);
    }
}

#[test]
fn a_signature_of_another_signer_is_refused() {
    let mut document = signed();
    document.insert("public_key".to_owned(), json!(key(2).public_key()));
    refused_as_altered(&document);
    let mut document = signed();
    let other = key(2).sign(b"something else").unwrap();
    document.insert("signature".to_owned(), json!(other));
    refused_as_altered(&document);
}
