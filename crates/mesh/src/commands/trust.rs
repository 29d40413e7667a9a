//! `mesh trust`: whose spores may run on this machine.

mod identity;
mod wide;

use std::path::Path;

use clap::Subcommand;
use serde::Serialize;
use soul::{KeyStore, TrustStore};
use types::PublicKey;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::publisher::now;
use crate::table::Table;
use crate::target;

/// Say whose spores may run here.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Trust a publisher: spores signed by that key may run here
    Add {
        /// A public key (base64 or a .pub file), a .spore file whose publisher is meant, or the name of one of
        /// your own keys
        key: String,
        /// Whose it is
        #[arg(long, default_value = "")]
        comment: String,
        #[command(flatten)]
        scope: Scope,
    },
    /// List the trusted publishers
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Trust publishers whose keys somebody vouches for with a Sigstore bundle, in the whole mesh
    Identity {
        #[command(subcommand)]
        action: identity::Action,
    },
    /// Trust a publisher no longer; what runs goes on until it is replaced
    Remove {
        /// A public key, a fingerprint or its beginning, or a comment
        key: String,
        #[command(flatten)]
        scope: Scope,
    },
}

/// Where it counts.
#[derive(Debug, clap::Args)]
struct Scope {
    /// On every node of the mesh, signed with an operator's key
    #[arg(long)]
    mesh: bool,
    /// Sign with this key of yours, or key file, instead of the operator's
    #[arg(long, value_name = "NAME|FILE", requires = "mesh")]
    operator: Option<String>,
}

#[derive(Serialize)]
struct Row {
    public_key: String,
    fingerprint: String,
    comment: String,
    added_at: String,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let paths = context.paths()?;
    let store = TrustStore::open(&paths.trust())?;
    match args.action {
        Action::Add { key, comment, scope } if scope.mesh => {
            let public = find(&key, &paths.keys())?;
            let operator = Operator::open(context, scope.operator.as_deref())?;
            wide::add(context, &operator, public, &comment)?;
        }
        Action::Add { key, comment, .. } => {
            let public = find(&key, &paths.keys())?;
            let said = if store.add(public, &comment, now())? { "trusted" } else { "already trusted" };
            context.out.note(format_args!("{said}: {}", public.fingerprint()));
        }
        Action::List { json } => list(context, &store, json)?,
        Action::Identity { action } => identity::run(context, action)?,
        Action::Remove { key, scope } if scope.mesh => {
            let operator = Operator::open(context, scope.operator.as_deref())?;
            wide::remove(context, &operator, find(&key, &paths.keys())?)?;
        }
        Action::Remove { key, .. } => {
            let found = store.find(&key)?;
            store.remove(&found.public_key)?;
            context.out.note(format_args!("no longer trusted: {} {}", found.fingerprint, found.comment));
        }
    }
    Ok(Code::Ok)
}

/// The key that `text` means.
fn find(text: &str, keys: &Path) -> Result<PublicKey, Failure> {
    if let Ok(key) = soul::public_key_from_text(text) {
        return Ok(key);
    }
    let path = Path::new(text);
    if path.extension().is_some_and(|e| e == "spore") {
        return Ok(target::open(path)?.manifest().public_key);
    }
    if path.is_file() {
        let content = std::fs::read_to_string(path)
            .map_err(|e| Failure::new(format_args!("failed to read {text}: {e}")))?;
        return soul::public_key_from_text(&content).map_err(|e| Failure::usage(format_args!("{text}: {e}")));
    }
    if let Ok(info) = KeyStore::open(keys)?.info(text) {
        return Ok(info.public_key);
    }
    let hint = if text.starts_with("SHA256:") {
        "a fingerprint can't be turned back into its key: name the .spore file, or paste the public key"
    } else {
        "name a public key (44 characters of base64), a .pub file, a .spore file, or one of `mesh keys list`"
    };
    Err(Failure::usage(format_args!("{text:?} is not a public key, nor leads to one")).hint(hint))
}

fn list(context: &Context, store: &TrustStore, json: bool) -> Result<(), Failure> {
    let rows: Vec<Row> = store
        .list()?
        .into_iter()
        .map(|t| Row {
            public_key: t.public_key.to_string(),
            fingerprint: t.fingerprint.to_string(),
            comment: t.comment,
            added_at: t.added_at.to_string(),
        })
        .collect();
    if json {
        return context.out.json(&rows);
    }
    let mut table = Table::new(&["FINGERPRINT", "SINCE", "COMMENT"]);
    for row in rows {
        table.row([row.fingerprint, row.added_at, row.comment]);
    }
    if table.is_empty() {
        context.out.note("nobody is trusted yet; `mesh build` makes a development key and trusts it");
        return Ok(());
    }
    context.out.line(table.render())
}
