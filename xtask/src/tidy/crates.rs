//! The crates of the workspace, as `cargo metadata` knows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// The table of a Cargo.toml that holds a crate's floor.
const TABLE: &str = "/metadata/mycelium/floor";

/// A crate of the workspace.
pub struct Crate {
    pub name: String,
    /// Its Cargo.toml, from the root of the repository.
    pub manifest: PathBuf,
    /// The content of its Cargo.toml.
    pub text: String,
    /// The floor it states.
    pub floor: Option<u64>,
    /// What it imports by name, tests left out; `true` for one of the workspace.
    pub imports: Vec<(String, bool)>,
}

impl Crate {
    /// Whether it stands in the house, where floors count: in `crates/`.
    pub fn is_organ(&self) -> bool {
        self.manifest.starts_with("crates")
    }

    /// Whether nothing in it may depend on when, where and in which order it runs.
    pub fn is_pure(&self) -> bool {
        self.floor.is_some_and(|floor| floor <= 1) || ["fabric", "cortex"].contains(&&*self.name)
    }

    /// The line of the Cargo.toml that imports `name`.
    pub fn line_of(&self, name: &str) -> usize {
        let imports =
            |line: &str| line.trim().strip_prefix(name).is_some_and(|l| l.starts_with([' ', '.', '=']));
        self.text.lines().position(imports).map_or(1, |at| at + 1)
    }
}

/// Asks cargo, which needs no network for this.
pub fn read(root: &Path) -> Result<Vec<Crate>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let asked = cargo.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(root);
    let output = asked.output().context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    packages.iter().map(|package| from_json(package, root)).collect()
}

fn from_json(package: &Value, root: &Path) -> Result<Crate> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let manifest = PathBuf::from(text(&package["manifest_path"]).context("a package without a manifest")?);
    let imports = package["dependencies"].as_array().into_iter().flatten();
    Ok(Crate {
        name: text(&package["name"]).context("a package without a name")?,
        text: std::fs::read_to_string(&manifest)?,
        manifest: manifest.strip_prefix(root)?.to_owned(),
        floor: package.pointer(TABLE).and_then(Value::as_u64),
        imports: imports
            .filter(|import| import["kind"].as_str() != Some("dev"))
            .filter_map(|import| Some((text(&import["name"])?, import["path"].is_string())))
            .collect(),
    })
}
