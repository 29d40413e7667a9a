//! `mesh policy check`: what a node would say of a spore, without starting it.

use std::path::PathBuf;

use genome::{Plan, Release};
use mycelium::admission::{Subject, module};
use policy::Module;
use serde_json::json;
use spore::Manifest;
use types::Digest;

use super::{evaluator, failed, files, labels};
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::pairs::Pair;
use crate::target;

/// Say whether a spore may start by the policies in force, or by those of a folder.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A .spore file, or a digest (or its beginning) in the repo
    spore: String,
    /// Look digests up in this repo
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// These policies instead of those in force: a folder, or a file
    #[arg(long, value_name = "DIR")]
    policy: Option<PathBuf>,
    /// As if its plan had this label; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Pair>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Code, Failure> {
    let found = target::find(context, &args.spore, args.repo.as_deref())?;
    let digest = match found.digest {
        Some(digest) => digest,
        None => crate::sbom::digest(&found.path)?,
    };
    found.spore.verify(Some(&digest)).map_err(|e| target::about(&found.path, e))?;
    let attestations = target::attestations(&found.path, &found.spore)?;
    let manifest = found.spore.manifest();
    let (modules, plan) = asked(context, args, manifest, digest)?;
    let subject =
        Subject { digest: &digest, manifest, attestations: &attestations, plan: plan.as_ref(), node: None };
    let reasons = if modules.is_empty() {
        Vec::new()
    } else {
        evaluator()?.reasons(&modules, subject.input()).map_err(|error| failed(&error).code(Code::Refused))?
    };
    if args.json {
        context.out.json(&json!({ "allowed": reasons.is_empty(), "reasons": reasons }))?;
    } else if reasons.is_empty() {
        let count = modules.len();
        let by = format!("{count} {}", if count == 1 { "policy" } else { "policies" });
        context.out.line(format_args!("{} {} may start, by {by}", manifest.name, manifest.version))?;
    } else {
        for reason in &reasons {
            context.out.line(format_args!("denied: {reason}"))?;
        }
    }
    Ok(if reasons.is_empty() { Code::Ok } else { Code::Refused })
}

/// The policies, and the plan that they are asked about: the app's own, with the labels that are given.
fn asked(
    context: &Context,
    args: &Args,
    manifest: &Manifest,
    digest: Digest,
) -> Result<(Vec<Module>, Option<Plan>), Failure> {
    let given = labels(&args.label)?;
    let (modules, mut plan) = match &args.policy {
        Some(path) => (files::rules(path)?, None),
        None => {
            let client = context.client()?;
            context.block_on(async {
                let held = client.policies().await?.into_iter();
                let modules = held.map(|of| module(&genome::Policy { name: of.name, rego: of.rego }));
                Ok((modules.collect(), client.plan(&manifest.name).await?.plan))
            })?
        }
    };
    if !given.is_empty() {
        let release = Release {
            digest,
            version: manifest.version.clone(),
            workload: manifest.workload,
            nutrients: manifest.nutrients.planned(),
            port: 0,
            env: manifest.env.clone(),
            restart: 0,
            profile: None,
            reach: Vec::new(),
            settings: genome::Settings::default(),
        };
        plan.get_or_insert_with(|| Plan::new(manifest.name.clone(), release, 1)).labels = given;
    }
    Ok((modules, plan))
}
