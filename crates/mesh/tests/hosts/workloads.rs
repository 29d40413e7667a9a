//! The example workloads, from the same target folder as the binary under test.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Host;

/// Builds them when they aren't there. Not for a cell: in it there is no network to fetch anything from.
pub fn build() {
    let folder = folder();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "-p", "billing", "-p", "frontend"]);
    cargo.arg("--target-dir").arg(folder.parent().unwrap());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
}

/// A spore of a workload, packed in a host; its path.
pub fn spore(host: &Host, name: &str, version: &str) -> String {
    let manifest = format!("{name}.json");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    std::fs::copy(examples.join(&manifest), host.work().join(&manifest)).unwrap();
    let line = format!("build -manifest {manifest} -binary {} -tag {version}", folder().join(name).display());
    host.mesh(&line).good().stdout.trim().to_owned()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_mesh")).parent().unwrap().to_owned()
}
