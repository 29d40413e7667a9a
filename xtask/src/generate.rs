//! What is generated from the code and committed, so that people and other tools can read it without building.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

use crate::violation::Violation;

/// The folder that holds nothing but generated schemas.
const SCHEMAS: &str = "schemas";

/// Every generated file: its path from the root, and what belongs in it.
fn outputs() -> Result<BTreeMap<PathBuf, String>> {
    let records = genome::schemas().into_iter().chain([("manifest", spore::schema())]);
    let file = |(kind, schema)| {
        let text = serde_json::to_string_pretty(&sorted(serde_json::to_value(schema)?))?;
        Ok((Path::new(SCHEMAS).join(format!("{kind}.schema.json")), format!("{text}\n")))
    };
    records.map(file).collect()
}

/// Writes what has changed and removes what nothing generates any more; the paths that were touched.
pub fn write(root: &Path) -> Result<Vec<PathBuf>> {
    let outputs = outputs()?;
    let mut touched = Vec::new();
    for (path, text) in &outputs {
        let to = root.join(path);
        if fs::read_to_string(&to).ok().as_ref() != Some(text) {
            fs::create_dir_all(to.parent().context("a generated file stands in a folder")?)?;
            fs::write(&to, text).with_context(|| format!("writing {}", to.display()))?;
            touched.push(path.clone());
        }
    }
    for path in stale(root, &outputs) {
        fs::remove_file(root.join(&path))?;
        touched.push(path);
    }
    Ok(touched)
}

/// What [`write()`] would change.
pub fn check(root: &Path) -> Result<Vec<Violation>> {
    let outputs = outputs()?;
    let differs = |path: &Path, text: &str| fs::read_to_string(root.join(path)).ok().as_deref() != Some(text);
    let drifted = outputs
        .iter()
        .filter(|(path, text)| differs(path, text))
        .map(|(path, _)| Violation::new(path, 1, "not what the code says; run: cargo xtask generate"));
    let stale = stale(root, &outputs)
        .into_iter()
        .map(|path| Violation::new(&path, 1, "nothing generates this file; run: cargo xtask generate"));
    Ok(drifted.chain(stale).collect())
}

fn stale(root: &Path, outputs: &BTreeMap<PathBuf, String>) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(SCHEMAS)).into_iter().flatten().flatten();
    let mut stale: Vec<_> = entries
        .map(|entry| Path::new(SCHEMAS).join(entry.file_name()))
        .filter(|path| path.extension().is_some_and(|e| e == "json") && !outputs.contains_key(path))
        .collect();
    stale.sort();
    stale
}

/// With keys in order, whatever features of `serde_json` this build has.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<_, _> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
