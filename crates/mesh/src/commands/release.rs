//! `mesh release`: everything a `mesh.toml` describes, built, packed with its immutable version, and published.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;
use types::{AppName, Digest};

use crate::commands::publish;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::meshfile::{self, MeshFile};
use crate::{provenance, publisher, recipe, signals};

/// Build and pack what a mesh.toml describes with its immutable version, and publish it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file, or its folder
    #[arg(value_name = "FILE", default_value = meshfile::NAME)]
    file: PathBuf,
    /// Only this app; may be given more than once
    #[arg(long, value_name = "APP")]
    app: Vec<AppName>,
    /// Where the .spore files go
    #[arg(long, value_name = "DIR", default_value = "./out")]
    out: PathBuf,
    /// The repo's folder [default: the running mesh's, else the one in the state folder]
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Sign with this key of yours, or key file [default: the file's, else the development key]
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// Who builds it, as its provenance says
    #[arg(long, value_name = "URI", default_value = provenance::BUILDER, value_parser = provenance::builder)]
    builder: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Released {
    #[serde(rename = "appName")]
    app: AppName,
    version: String,
    digest: Digest,
    path: PathBuf,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    context.block_on(async {
        let asked = signals::listen(true)?;
        tokio::select! {
            released = release(context, args) => released,
            () = asked.times(1) => Err(Failure::new("interrupted").code(Code::Interrupted)),
        }
    })
}

async fn release(context: &Context, args: Args) -> Result<Code, Failure> {
    let file = MeshFile::read(&args.file)?;
    if let Some(unknown) = args.app.iter().find(|name| !file.app.contains_key(*name)) {
        return Err(Failure::usage(format_args!("{} has no [app.{unknown}]", args.file.display())));
    }
    let mut stamped = Vec::new();
    for (name, app) in file.app.iter().filter(|(name, _)| args.app.is_empty() || args.app.contains(name)) {
        let (template, tree) = recipe::stamp(&file, name, app)?;
        recipe::releasable(&tree)?;
        stamped.push((name, app, template, tree));
    }
    let key = publisher::load(context, args.key.as_deref().or(file.mesh.key.as_deref()))?;
    let mut warned = BTreeSet::new();
    let mut released = Vec::new();
    for (name, app, template, tree) in stamped {
        if let Some(warning) = tree.warning().filter(|w| warned.insert(w.clone())) {
            context.out.warn(warning);
        }
        let out = (&*args.out, Some(args.builder.as_str()));
        let made = recipe::make(context, &file, app, (&template, &tree), &key, out).await?;
        let (digest, path) = publish::store(context, &made, args.repo.as_deref()).await?;
        context.out.note(format_args!("released {name} {} to {}", tree.tag, path.display()));
        if !args.json {
            context.out.line(format_args!("{digest}   {name}   {}", tree.tag))?;
        }
        released.push(Released { app: name.clone(), version: tree.tag, digest, path });
    }
    if args.json {
        context.out.json(&released)?;
    }
    Ok(Code::Ok)
}
