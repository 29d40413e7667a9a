//! The committed JSON Schema is the one the code makes, and says what the reader says.

use serde_json::Value;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/manifest.schema.json");

#[test]
fn the_committed_schema_is_current() {
    let current = serde_json::to_value(spore::schema()).unwrap();
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(COMMITTED).unwrap()).unwrap();
    assert!(committed == current, "schemas/manifest.schema.json has drifted: run `cargo xtask generate`");
}

#[test]
fn the_schema_requires_what_the_specification_requires() {
    let schema = serde_json::to_value(spore::schema()).unwrap();
    let required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for field in [
        "kind",
        "name",
        "version",
        "command",
        "args",
        "env",
        "nutrients",
        "slo",
        "security",
        "binary_sha256",
        "signature",
        "public_key",
        "created_at",
    ] {
        assert!(required.contains(&field), "{field}");
    }
    assert_eq!(schema["additionalProperties"], Value::Null, "fields of later versions are allowed");
}
