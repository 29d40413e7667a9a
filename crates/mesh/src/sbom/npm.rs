//! `package-lock.json`, from version 2 on: what npm installs, without what only development needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Found, Library, encoded};

/// Reads a lock file.
pub(super) fn read(text: &str) -> Result<Found, String> {
    let lock = types::json::parse(text.as_bytes()).map_err(|e| e.to_string())?;
    let Some(packages) = lock.get("packages").and_then(Value::as_object) else {
        return Err("it has no \"packages\": write it anew with npm 7 or later".to_owned());
    };
    let mut libraries = Vec::new();
    for (path, package) in packages {
        // The package itself, and those of its workspace, are not in `node_modules`; a link says where they are.
        let is = |field: &str| package.get(field) == Some(&Value::Bool(true));
        let Some((_, placed)) = path.rsplit_once("node_modules/") else { continue };
        if is("dev") || is("link") {
            continue;
        }
        let text = |field: &str| package.get(field).and_then(Value::as_str);
        let name = text("name").unwrap_or(placed);
        let version = text("version").ok_or_else(|| format!("{path} has no version"))?;
        libraries.push(Library {
            name: name.to_owned(),
            version: Some(version.to_owned()),
            purl: format!("pkg:npm/{}@{}", purl_name(name), encoded(version)),
            hash: text("integrity").and_then(hash),
        });
    }
    Ok(Found {
        libraries,
        source: "package-lock.json".to_owned(),
        covers: "what npm installs for production, optional packages of other platforms among them"
            .to_owned(),
    })
}

/// `@scope/name` is a namespace and a name.
fn purl_name(name: &str) -> String {
    name.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// One hash of an integrity text (Subresource Integrity): `sha512-…`.
fn hash(integrity: &str) -> Option<(&'static str, String)> {
    let (algorithm, content) = integrity.split_whitespace().next()?.split_once('-')?;
    let (name, length) = match algorithm {
        "sha512" => ("SHA-512", 64),
        "sha384" => ("SHA-384", 48),
        "sha256" => ("SHA-256", 32),
        "sha1" => ("SHA-1", 20),
        _ => return None,
    };
    let bytes = STANDARD.decode(content).ok().filter(|bytes| bytes.len() == length)?;
    Some((name, bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
