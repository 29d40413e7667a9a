//! `mesh inspect`: what a spore is and who signed it. Its manifest's signature is checked, and what it says of
//! itself; the rest of its content is not read.

use std::path::PathBuf;

use serde_json::json;
use soul::TrustStore;
use spore::Manifest;
use spore::attest::Attestations;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::target;

/// Show what a spore is and who signed it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .spore file, or a digest (or its beginning) in the repo
    spore: String,
    /// Look digests up in this repo
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let found = target::find(context, &args.spore, args.repo.as_deref())?;
    let manifest = found.spore.manifest();
    if args.json {
        context.out.json(&manifest.document())?;
        return Ok(Code::Ok);
    }
    let trusted = TrustStore::open(&context.paths()?.trust())?.trusts(&manifest.public_key)?;
    let attested = target::attestations(&found.path, &found.spore)?;
    context.out.line(describe(manifest, found.spore.size(), trusted, &attested))?;
    Ok(Code::Ok)
}

/// The manifest as lines of `field value`.
fn describe(manifest: &Manifest, bytes: u64, trusted: bool, attested: &Attestations) -> String {
    let known = if trusted { "trusted here" } else { "not trusted here" };
    let mut rows = vec![
        ("name", manifest.name.to_string()),
        ("version", manifest.version.clone()),
        ("workload", text(&json!(manifest.workload))),
        ("provides", list(manifest.provides.iter().map(|p| text(&json!(p))))),
        (
            "command",
            list(manifest.interpreter.iter().chain([&manifest.command]).chain(&manifest.args).cloned()),
        ),
        ("env", list(manifest.env.iter().map(|(name, value)| format!("{name}={value}")))),
        ("nutrients", text_of_nutrients(manifest)),
        ("security", text_of_security(manifest)),
        ("binary", manifest.binary_sha256.to_string()),
        ("created", manifest.created_at.to_string()),
        ("publisher", format!("{} ({known})", manifest.public_key.fingerprint())),
        ("size", format!("{bytes} bytes")),
    ];
    rows.extend(text_of_attestations(attested));
    for (path, digest) in &manifest.files {
        rows.push(("file", format!("{path} {}", digest.short())));
    }
    let shown = rows.into_iter().filter(|(_, value)| !value.is_empty());
    shown.map(|(field, value)| format!("{field:<11}{value}")).collect::<Vec<_>>().join("\n")
}

fn text_of_nutrients(manifest: &Manifest) -> String {
    let needs = &manifest.nutrients;
    let most = [
        needs.pids.map(|pids| format!("{pids} processes")),
        needs.open_files.map(|files| format!("{files} open files")),
        needs.io_weight.map(|weight| format!("I/O weight {weight}")),
        needs.log_mb.map(|log| format!("{log} MiB of log")),
    ];
    let all = [format!("{} mCPU", needs.cpu_milli), format!("{} MiB", needs.memory_mb)];
    format!("{} a replica", all.into_iter().chain(most.into_iter().flatten()).collect::<Vec<_>>().join(", "))
}

fn text_of_security(manifest: &Manifest) -> String {
    let read_only = if manifest.security.read_only_fs { ", read-only file system" } else { "" };
    format!("{}{read_only}", manifest.security.lsm_profile)
}

/// What it says of itself: as much as it takes to see whether it is what was meant.
fn text_of_attestations(attested: &Attestations) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some(sbom) = &attested.sbom {
        let version = sbom.document["specVersion"].as_str().unwrap_or_default();
        rows.push(("sbom", format!("CycloneDX {version}, {} components", sbom.components.len())));
    }
    if let Some(provenance) = &attested.provenance {
        rows.push(("source", provenance.source().unwrap_or_default().to_owned()));
        rows.push(("commit", provenance.commit().unwrap_or_default().to_owned()));
        rows.push(("builder", provenance.builder().unwrap_or_default().to_owned()));
    }
    rows
}

fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(" ")
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
