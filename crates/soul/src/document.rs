//! The JSON files of this crate: one document each, whose version says whether the rest can be understood.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The document as it stands in its file.
pub(crate) fn encode(document: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("plain data always serialises");
    bytes.push(b'\n');
    bytes
}

/// Reads a document of `version`; duplicate keys and other versions are refused.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8], version: u32) -> Result<T, String> {
    let value = types::json::parse(bytes).map_err(|e| e.to_string())?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(other) if other != u64::from(version) => {
            return Err(format!("its version is {other}, this program knows {version}"));
        }
        _ => {}
    }
    serde_json::from_value(value).map_err(|e| e.to_string())
}
