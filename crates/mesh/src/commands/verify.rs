//! `mesh verify`: whether a spore is whole, whether its signature holds, and whether it may run on this machine.

use std::path::PathBuf;

use serde_json::json;
use soul::TrustStore;
use types::{Digest, PublicKey};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::{target, vouch};

/// Check every byte of a spore, its signature, and whether its publisher is trusted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .spore file, or a digest (or its beginning) in the repo
    spore: String,
    /// Look digests up in this repo
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// The SHA-256 that the file must have
    #[arg(long)]
    digest: Option<Digest>,
    /// Accept any publisher whose signature holds
    #[arg(long)]
    any_publisher: bool,
    #[command(flatten)]
    sigstore: vouch::Asked,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let found = target::find(context, &args.spore, args.repo.as_deref())?;
    let expected = args.digest.or(found.digest);
    found.spore.verify(expected.as_ref()).map_err(|e| target::about(&found.path, e))?;
    let attested = target::attestations(&found.path, &found.spore)?;
    let vouched = args.sigstore.verify(&found.path)?;
    let manifest = found.spore.manifest();
    let trusted = TrustStore::open(&context.paths()?.trust())?.trusts(&manifest.public_key)?;
    if args.json {
        context.out.json(&json!({
            "path": found.path, "name": manifest.name, "version": manifest.version, "intact": true,
            "public_key": manifest.public_key, "fingerprint": manifest.public_key.fingerprint(), "trusted": trusted,
            "sigstore": vouched, "sbom": attested.sbom.is_some(),
            "provenance": attested.provenance.map(|provenance| provenance.predicate),
        }))?;
    } else {
        let known = if trusted { "trusted" } else { "not trusted here" };
        let vouched = vouched.map(|identity| format!(", vouched for by {identity}")).unwrap_or_default();
        context.out.line(format_args!(
            "{} {}: intact, signed by {} ({known}){vouched}",
            manifest.name,
            manifest.version,
            manifest.public_key.fingerprint()
        ))?;
    }
    if trusted || args.any_publisher { Ok(Code::Ok) } else { Err(untrusted(&manifest.public_key)) }
}

/// Nobody here has said that this publisher's spores may run.
fn untrusted(key: &PublicKey) -> Failure {
    Failure::new(format_args!("the publisher {} is not trusted on this machine", key.fingerprint()))
        .code(Code::Refused)
        .hint(format_args!("if the fingerprint is the one you were told, run: mesh trust add {key}"))
}
