//! `mesh publish`: spores go into the repo, under their digests.

use std::fs::File;
use std::path::{Path, PathBuf};

use mycelium::client::ClientError;
use repo::Repo;
use serde::Serialize;
use types::Digest;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::{packing, target};

/// Store spores in the repo and print their digests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The .spore files
    #[arg(value_name = "SPORE", required_unless_present = "spore")]
    spores: Vec<PathBuf>,
    /// The same as a flag
    #[arg(long, value_name = "FILE")]
    spore: Option<PathBuf>,
    /// The repo's folder [default: the running mesh's, else the one in the state folder]
    #[arg(long, value_name = "DIR")]
    repo: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Published {
    digest: Digest,
    path: PathBuf,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let mut published = Vec::new();
    for path in args.spore.iter().chain(&args.spores) {
        let (digest, stored) = context.block_on(store(context, path, args.repo.as_deref()))?;
        if !args.json {
            context.out.note(format_args!("published {} to {}", path.display(), stored.display()));
            context.out.line(digest)?;
        }
        published.push(Published { digest, path: stored });
    }
    if args.json {
        context.out.json(&published)?;
    }
    Ok(Code::Ok)
}

/// Checks a spore whole and stores it.
pub async fn store(
    context: &Context,
    path: &Path,
    repo: Option<&Path>,
) -> Result<(Digest, PathBuf), Failure> {
    let open =
        || File::open(path).map_err(|e| Failure::new(format_args!("failed to open {}: {e}", path.display())));
    let spore = target::open(path)?;
    spore.verify(None).map_err(|e| target::about(path, e))?;
    target::attestations(path, &spore)?;
    packing::refuse_latest(&spore.manifest().version)?;
    if let Some(dir) = repo {
        return Ok(Repo::open(dir)?.put(open()?)?);
    }
    let client = context.client()?;
    let file = open()?;
    match client.put_spore(file).await {
        Ok(stored) => Ok((stored.digest, stored.path)),
        Err(ClientError::NotRunning(_)) => Ok(Repo::open(context.paths()?.repo())?.put(open()?)?),
        Err(error) => Err(error.into()),
    }
}
