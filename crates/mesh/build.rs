//! Stamps `mesh --version`: `v{VERSION}-{7 digits of HEAD}`, `-dirty` when what the binary is made of is not committed.
//!
//! `MESH_COMMIT` overrides git, for builds from an archive; without either the commit is `0000000`.

use std::path::Path;
use std::process::Command;

/// What the binary is made of, relative to the root of the repository.
const SOURCES: [&str; 4] = ["crates", "Cargo.toml", "Cargo.lock", "VERSION"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("cargo::rerun-if-env-changed=MESH_COMMIT");
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    // Every commit and checkout appends to this one file.
    if let Some(log) = git(&root, &["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={}", root.join(log).display());
    }
    let version =
        std::fs::read_to_string(root.join("VERSION")).expect("VERSION stands at the root of the repository");
    let version = version.trim().trim_start_matches('v');
    println!("cargo::rustc-env=MESH_VERSION=v{version}-{}", commit(&root));
}

fn commit(root: &Path) -> String {
    if let Ok(given) = std::env::var("MESH_COMMIT") {
        return given;
    }
    let Some(sha) = git(root, &["rev-parse", "--short=7", "HEAD"]) else {
        return "0000000".to_owned();
    };
    // Without optional locks `status` doesn't touch the index.
    let mut status = vec!["--no-optional-locks", "status", "--porcelain", "--"];
    status.extend(SOURCES);
    let clean = git(root, &status).is_some_and(|changes| changes.is_empty());
    let sha: String = sha.chars().take(7).collect();
    if clean { sha } else { format!("{sha}-dirty") }
}

fn git(root: &Path, args: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
