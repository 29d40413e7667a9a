//! `mesh repo`: what the repo holds, and what of it nobody needs.

use std::path::PathBuf;

use clap::Subcommand;
use mycelium::api::SporeInfo;
use soul::TrustStore;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;
use crate::target;

/// Look into the repo and tidy it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the spores
    List {
        /// The repo's folder [default: the running mesh's, else the one in the state folder]
        #[arg(long, value_name = "DIR")]
        repo: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the spores that no plan of the running mesh names
    Gc {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::List { repo, json } => list(context, repo, json)?,
        Action::Gc { json } => collect(context, json)?,
    }
    Ok(Code::Ok)
}

fn list(context: &Context, dir: Option<PathBuf>, json: bool) -> Result<(), Failure> {
    let rows = match dir {
        Some(dir) => read(context, Some(dir))?,
        None => {
            let client = context.client()?;
            context.if_running(client.spores())?.map_or_else(|| read(context, None), Ok)?
        }
    };
    if json {
        return context.out.json(&rows);
    }
    let mut table = Table::new(&["DIGEST", "APP", "VERSION", "BYTES", "STORED", "PUBLISHER"]);
    for row in &rows {
        table.row(cells(row));
    }
    if table.is_empty() {
        context.out.note("the repo is empty; `mesh publish FILE` stores a spore");
        return Ok(());
    }
    context.out.line(table.render())
}

fn cells(row: &SporeInfo) -> [String; 6] {
    let field = |name| {
        let manifest = row.manifest.as_ref();
        manifest.and_then(|m| m[name].as_str()).unwrap_or_default().to_owned()
    };
    let publisher = match (&row.error, &row.fingerprint) {
        (Some(error), _) => format!("unreadable: {error}"),
        (None, Some(print)) => format!("{print}{}", if row.trusted { "" } else { " (not trusted)" }),
        (None, None) => String::new(),
    };
    [
        row.digest.short(),
        field("name"),
        field("version"),
        row.bytes.to_string(),
        row.stored_at.to_string(),
        publisher,
    ]
}

/// The folder as it is, without asking a mesh.
fn read(context: &Context, dir: Option<PathBuf>) -> Result<Vec<SporeInfo>, Failure> {
    let repo = target::open_repo(context, dir.as_deref())?;
    let trust = TrustStore::open(&context.paths()?.trust())?;
    let mut rows = Vec::new();
    for stored in repo.list()? {
        let opened = repo.get(&stored.digest).map_err(|e| e.to_string());
        let opened = opened.and_then(|file| spore::open(file).map_err(|e| e.to_string()));
        let manifest = opened.as_ref().ok().map(spore::Spore::manifest);
        let key = manifest.map(|m| m.public_key);
        rows.push(SporeInfo {
            digest: stored.digest,
            bytes: stored.bytes,
            stored_at: stored.modified.into(),
            manifest: manifest.map(|m| serde_json::Value::Object(m.document().clone())),
            public_key: key,
            fingerprint: key.map(|k| k.fingerprint().to_string()),
            trusted: key.map(|k| trust.trusts(&k)).transpose()?.unwrap_or(false),
            error: opened.as_ref().err().cloned(),
        });
    }
    Ok(rows)
}

fn collect(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let collected =
        context.block_on(async { Ok(client.collect_spores().await?) }).map_err(|mut failure| {
            if failure.code == Code::NotRunning {
                failure.hint =
                    Some("only a running mesh knows which spores its plans need: `mesh run`".to_owned());
            }
            failure
        })?;
    if json {
        return context.out.json(&collected);
    }
    for digest in &collected.removed {
        context.out.line(digest)?;
    }
    context.out.note(format_args!("removed {} spores, {} bytes", collected.removed.len(), collected.bytes));
    Ok(())
}
