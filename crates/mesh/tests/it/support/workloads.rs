//! The example workloads, from the same target folder as the binary under test; built when they aren't there.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// The binary of a workload of this repository.
pub fn workload(name: &str) -> PathBuf {
    static BUILT: Once = Once::new();
    let folder = Path::new(env!("CARGO_BIN_EXE_mesh")).parent().unwrap();
    BUILT.call_once(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "-p", "billing", "-p", "frontend"]);
        cargo.arg("--target-dir").arg(folder.parent().unwrap());
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success());
    });
    folder.join(name)
}
