//! What we really build on Linux: its licences, and the crates we never want.
//!
//! The graph is `cargo tree`'s. Cargo.lock holds other platforms' crates too, and the resolve of `cargo metadata`
//! holds crates that a weak feature (`ring?/std`) merely mentions: both would accuse us of `ring`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::tidy::licence;
use crate::violation::Violation;

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What we never build, and why.
pub const BANNED: [(&str, &str); 9] = [
    ("ring", "one crypto provider: aws-lc-rs; two at once panic at run time"),
    ("openssl", "TLS is rustls with aws-lc-rs"),
    ("openssl-sys", "TLS is rustls with aws-lc-rs"),
    ("native-tls", "TLS is rustls with aws-lc-rs"),
    ("async-std", "the runtime is tokio"),
    ("smol", "the runtime is tokio"),
    ("rsa", "RUSTSEC-2023-0071: its private key operations leak by timing"),
    ("serde_yaml", "unmaintained"),
    ("reqwest", "we have hyper"),
];

/// One crate that is built.
#[derive(Debug, PartialEq, Eq)]
pub struct Built {
    pub name: String,
    pub version: String,
    /// Its SPDX expression; empty if it states none.
    pub licence: String,
    /// Who brought it: from a crate of ours to the one that imports it.
    pub chain: Vec<String>,
}

/// Asks cargo. Everything is in Cargo.lock and, after a build, on this machine.
pub fn read(root: &Path) -> Result<Vec<Built>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["tree", "--workspace", "--edges", "normal,build,dev", "--target", TARGET]);
    cargo.args(["--prefix", "depth", "--format", "\t{p}\t{l}"]).current_dir(root);
    let output = cargo.output().context("running cargo tree")?;
    ensure!(output.status.success(), "cargo tree: {}", String::from_utf8_lossy(&output.stderr));
    Ok(parse(&String::from_utf8(output.stdout)?))
}

/// Reads `depth TAB name vX.Y.Z (…) TAB licence` lines.
pub fn parse(text: &str) -> Vec<Built> {
    let mut chain: Vec<String> = Vec::new();
    let mut all: BTreeMap<(String, String), Built> = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split('\t');
        let Some(depth) = fields.next().and_then(|depth| depth.parse::<usize>().ok()) else { continue };
        let mut package = fields.next().unwrap_or_default().split(' ');
        let name = package.next().unwrap_or_default().to_owned();
        let version = package.next().unwrap_or_default().trim_start_matches('v').to_owned();
        let licence = fields.next().unwrap_or_default().trim_end_matches(" (*)").trim().to_owned();
        chain.truncate(depth);
        let built = Built { name: name.clone(), version: version.clone(), licence, chain: chain.clone() };
        all.entry((name.clone(), version)).or_insert(built);
        chain.push(name);
    }
    all.into_values().collect()
}

pub fn check(built: &[Built], lock: &str) -> Vec<Violation> {
    let mut all = Vec::new();
    for one in built {
        let mut add =
            |what: String| all.push(Violation::new(Path::new("Cargo.lock"), line_of(one, lock), what));
        let via = if one.chain.is_empty() { "ours".to_owned() } else { one.chain.join(" -> ") };
        if let Some((_, why)) = BANNED.iter().find(|(name, _)| *name == one.name) {
            add(format!(
                "{} is banned ({why}); it comes by {via}: turn the feature off, or leave that crate",
                one.name
            ));
        }
        if one.licence.is_empty() {
            add(format!("{} {} states no licence; it comes by {via}: leave it", one.name, one.version));
        } else if !licence::is_allowed(&one.licence) {
            let what = "allows no licence that ours can live with (see xtask/src/tidy/licence.rs)";
            add(format!(
                "{} {}: {:?} {what}; it comes by {via}: leave it",
                one.name, one.version, one.licence
            ));
        }
    }
    all
}

/// The line of Cargo.lock that names this crate and version.
fn line_of(one: &Built, lock: &str) -> usize {
    let (name, version) = (format!("name = \"{}\"", one.name), format!("version = \"{}\"", one.version));
    let lines: Vec<_> = lock.lines().collect();
    lines.windows(2).position(|pair| pair[0] == name && pair[1] == version).map_or(1, |at| at + 1)
}
