//! Manifests that break a rule, signed all the same: the signature is no excuse.

use serde_json::{Map, Value, json};

use crate::forge::{bundle, document, part, refused, sign, zip};

const BINARY: &[u8] = b"program";

fn with(field: &str, value: Value) -> Map<String, Value> {
    let mut document = document(BINARY, &[]);
    document.insert(field.to_owned(), value);
    document
}

#[track_caller]
fn refused_signed(document: Map<String, Value>, culprits: &[&str]) {
    refused(&bundle(&sign(document), BINARY, &[]), culprits);
}

#[test]
fn a_missing_field_is_named() {
    for field in [
        "kind",
        "name",
        "version",
        "command",
        "args",
        "env",
        "provides",
        "nutrients",
        "slo",
        "security",
        "public_key",
        "created_at",
    ] {
        let mut document = document(BINARY, &[]);
        document.remove(field);
        refused_signed(document, &["manifest.json", "missing field", field]);
    }
    for field in ["signature", "binary_sha256"] {
        let mut document = sign(document(BINARY, &[]));
        document.remove(field);
        refused(&bundle(&document, BINARY, &[]), &["missing field", field]);
    }
}

#[test]
fn a_field_of_another_type_is_named() {
    let cases = [
        ("name", json!(1)),
        ("version", json!(null)),
        ("command", json!(["a"])),
        ("args", json!("-v")),
        ("args", json!([1])),
        ("env", json!({ "A": 1 })),
        ("provides", json!(["udp"])),
        ("nutrients", json!({ "cpu_milli": 1.5, "memory_mb": 1 })),
        ("nutrients", json!({ "cpu_milli": 1 })),
        ("slo", json!({ "p99_budget_ms": -1 })),
        ("security", json!({ "lsm_profile": "demo", "read_only_fs": "no" })),
        ("workload", json!("pod")),
        ("health", json!({ "path": 1 })),
        ("interpreter", json!(["java", "-jar"])),
        ("files", json!(["a"])),
        ("files", json!({ "a": "ABCD" })),
        ("resources", json!([])),
        ("created_at", json!("yesterday")),
        ("created_at", json!(1)),
        ("kind", json!("Pod")),
    ];
    for (field, value) in cases {
        refused_signed(with(field, value), &[&format!("manifest.json: {field}")]);
    }
}

#[test]
fn a_value_that_cannot_be_meant_is_named() {
    let many = |n: usize| (0..n).map(|i| (format!("V{i}"), json!(""))).collect::<Map<_, _>>();
    let cases = [
        ("name", json!("../x")),
        ("name", json!("Billing")),
        ("version", json!("")),
        ("version", json!("v 1")),
        ("version", json!("v1\n")),
        ("version", json!("v".repeat(129))),
        ("command", json!("")),
        ("command", json!("bin/billing")),
        ("command", json!("/bin/sh")),
        ("command", json!("..")),
        ("command", json!("manifest.json")),
        ("command", json!("files")),
        ("command", json!("a\u{0}b")),
        ("args", json!(["a\u{0}b"])),
        ("args", json!(vec!["x"; 257])),
        ("args", json!(["x".repeat(32 * 1024 + 1)])),
        ("env", json!({ "": "x" })),
        ("env", json!({ "A=B": "x" })),
        ("env", json!({ "1A": "x" })),
        ("env", json!({ "A": "x\u{0}" })),
        ("env", Value::Object(many(257))),
        ("provides", json!(["http", "http"])),
        ("nutrients", json!({ "cpu_milli": 0, "memory_mb": 1 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 9_007_199_254_740_991u64 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "pids": 0 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "pids": -1 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "open_files": 15 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "open_files": 1_048_577 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "io_weight": 10_001 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "log_mb": 10_241 })),
        ("nutrients", json!({ "cpu_milli": 1, "memory_mb": 1, "log_mb": "all" })),
        ("slo", json!({ "p99_budget_ms": 0 })),
        ("security", json!({ "lsm_profile": "", "read_only_fs": false })),
        ("security", json!({ "lsm_profile": "../etc", "read_only_fs": false })),
        ("health", json!({ "path": "health" })),
        ("health", json!({ "path": "/a b" })),
        ("health", json!({ "timeout_ms": 0 })),
        ("interpreter", json!("")),
        ("interpreter", json!(" java")),
        ("interpreter", json!("java  -jar")),
        ("interpreter", json!("java\n")),
        ("workload", json!("job")),
    ];
    for (field, value) in cases {
        // A job that still provides something is told so at `provides`.
        let culprit = if field == "workload" { "provides" } else { field };
        refused_signed(with(field, value), &[&format!("manifest.json: {culprit}")]);
    }
}

#[test]
fn file_paths_that_lead_out_are_named() {
    let digest = json!("0".repeat(64));
    for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a\\b", "a/", "."] {
        refused_signed(
            with("files", json!({ path: digest })),
            &["manifest.json: files", &format!("{path:?}")],
        );
    }
    refused_signed(with("files", json!({ "a": digest, "a.b": digest, "a/b": digest })), &["\"a\" is both"]);
}

#[test]
fn json_that_two_readers_read_differently_is_refused() {
    let honest = serde_json::to_string(&sign(document(BINARY, &[]))).unwrap();
    let forged = |text: String| zip(&[part("manifest.json", text.as_bytes()), part("binary", BINARY)]);
    let cases = [
        (honest.replacen('{', r#"{"name":"other","#, 1), "the key \"name\" stands twice"),
        (honest.replacen('{', r#"{"signature":"","#, 1), "the key \"signature\" stands twice"),
        (honest.replacen("\"env\":{", r#""env":{"GREETING":"ho","#, 1), "the key \"GREETING\" stands twice"),
        (honest.replacen('{', r#"{"n\u0061me":"other","#, 1), "the key \"name\" stands twice"),
        (format!("{honest}{{}}"), "trailing"),
        (format!("\u{feff}{honest}"), "strict JSON"),
        (honest.replacen('{', r#"{"x":9007199254740993,"#, 1), "2^53"),
        (honest.replacen('{', r#"{"x":1e999,"#, 1), "strict JSON"),
        (honest.replacen('{', &format!(r#"{{"x":{}{},"#, "[".repeat(40), "]".repeat(40)), 1), "deeper"),
        (honest.replacen('{', r#"{"x":"\ud800","#, 1), "strict JSON"),
        (String::new(), "strict JSON"),
        ("[]".to_owned(), "not a JSON object"),
        ("null".to_owned(), "not a JSON object"),
    ];
    for (text, culprit) in cases {
        refused(&forged(text), &["manifest.json", culprit]);
    }
    let mut bytes = honest.into_bytes();
    bytes[10] = 0xff;
    refused(&zip(&[part("manifest.json", &bytes), part("binary", BINARY)]), &["manifest.json"]);
}

#[test]
fn white_space_and_key_order_do_not_matter_to_the_signature() {
    let signed = sign(with("later", json!({ "b": 1.0, "a": [1e2, "ü", null] })));
    let pretty = serde_json::to_vec_pretty(&signed).unwrap();
    let bytes = zip(&[part("manifest.json", &pretty), part("binary", BINARY)]);
    assert_eq!(crate::forge::refusal(&crate::support::Bench::new(), &bytes), None);
}
