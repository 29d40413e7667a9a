//! Build: the programs to be measured, by cargo, which also says where it put them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The product as it is shipped.
pub fn mesh() -> Result<PathBuf> {
    cargo(&["--profile", "dist", "-p", "mesh", "--bin", "mesh"])
}

/// The workload.
pub fn billing() -> Result<PathBuf> {
    cargo(&["--release", "-p", "billing"])
}

fn cargo(arguments: &[&str]) -> Result<PathBuf> {
    // the cargo that runs us, else the one on the path: rustup's, which also says which compiler is meant
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("failed to run cargo")?;
    if !output.status.success() {
        bail!("cargo build {} failed", arguments.join(" "));
    }
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    let mut built = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    built.next_back().context("cargo named no executable")
}
