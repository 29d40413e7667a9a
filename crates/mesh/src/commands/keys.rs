//! `mesh keys`: signing keys on this machine. The secret half is never printed.

use clap::Subcommand;
use serde::Serialize;
use soul::{KeyInfo, KeyStore};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;

/// Make and show signing keys.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a key that only you can read
    New {
        /// Its name; the file is NAME.key
        name: String,
        /// Use the key of that name when there is one
        #[arg(long)]
        if_missing: bool,
    },
    /// List your keys
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the public half of a key
    Show {
        /// Its name
        name: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Serialize)]
struct Row {
    name: String,
    public_key: Option<String>,
    fingerprint: Option<String>,
    path: std::path::PathBuf,
    error: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let store = KeyStore::open(&context.paths()?.keys())?;
    match args.action {
        Action::New { name, if_missing } => new(context, &store, &name, if_missing)?,
        Action::List { json } => list(context, &store, json)?,
        Action::Show { name, json } => {
            show(context, &Row::good(store.info(&name)?), json)?;
        }
    }
    Ok(Code::Ok)
}

fn new(context: &Context, store: &KeyStore, name: &str, if_missing: bool) -> Result<(), Failure> {
    use types::Signer as _;
    let (key, created) = if if_missing { store.ensure(name)? } else { (store.create(name)?, true) };
    if created {
        context.out.note(format_args!(
            "created key {name}: {} ({})",
            key.fingerprint(),
            store.path(name)?.display()
        ));
    }
    context.out.line(key.public_key())
}

fn list(context: &Context, store: &KeyStore, json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for found in store.list()? {
        rows.push(match found {
            Ok(info) => Row::good(info),
            Err(error) => Row {
                name: String::new(),
                public_key: None,
                fingerprint: None,
                path: std::path::PathBuf::new(),
                error: Some(error.to_string()),
            },
        });
    }
    if json {
        return context.out.json(&rows);
    }
    let mut table = Table::new(&["NAME", "FINGERPRINT", "FILE"]);
    for row in rows {
        match row.error {
            Some(error) => context.out.warn(format_args!("failed to {error}")),
            None => {
                table.row([row.name, row.fingerprint.unwrap_or_default(), row.path.display().to_string()]);
            }
        }
    }
    if table.is_empty() && store.list()?.is_empty() {
        context.out.note("no keys yet; `mesh keys new NAME` makes one");
        return Ok(());
    }
    context.out.line(table.render())
}

fn show(context: &Context, row: &Row, json: bool) -> Result<(), Failure> {
    if json {
        return context.out.json(row);
    }
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    context.out.line(format_args!(
        "name          {}\npublic key    {}\nfingerprint   {}\nfile          {}",
        row.name,
        text(&row.public_key),
        text(&row.fingerprint),
        row.path.display()
    ))
}

impl Row {
    fn good(info: KeyInfo) -> Self {
        Self {
            name: info.name,
            public_key: Some(info.public_key.to_string()),
            fingerprint: Some(info.fingerprint.to_string()),
            path: info.path,
            error: None,
        }
    }
}
