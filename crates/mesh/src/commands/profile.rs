//! `mesh profile`: what workloads may reach, as files that are read and compared.

use std::path::PathBuf;

use agent::Profile;
use clap::Subcommand;
use serde_json::json;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;

/// Show what workloads are confined to.
///
/// A manifest names its profile (`security.lsm_profile`), a plan may name another (`mesh deploy --profile`). A node's own
/// profiles lie in the folder `profiles` of its configuration: begin one with
/// `mesh profile show default > …/profiles/NAME.toml`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the profiles of this machine
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a profile
    Show {
        /// Its name
        name: String,
        /// Print what this machine enforces of it, as a unit of systemd, for `systemd-analyze security --offline=true FILE`
        #[arg(long)]
        systemd: bool,
    },
    /// Check a file before it becomes a profile
    Check {
        /// The file
        file: PathBuf,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let dir = context.paths()?.profiles();
    match args.action {
        Action::List { json } => list(context, &dir, json)?,
        Action::Show { name, systemd: false } => context.out.raw(text(&name, &dir)?.as_bytes())?,
        Action::Show { name, systemd: true } => context.out.raw(unit(&name, &dir)?.as_bytes())?,
        Action::Check { file } => {
            let text = std::fs::read_to_string(&file)
                .map_err(|error| Failure::new(format_args!("failed to read {}: {error}", file.display())))?;
            Profile::read(&file.display().to_string(), &text)
                .map_err(|error| Failure::new(format_args!("failed to {error}")))?;
            context.out.note(format_args!("{} is a profile", file.display()));
        }
    }
    Ok(Code::Ok)
}

fn text(name: &str, dir: &std::path::Path) -> Result<String, Failure> {
    Profile::text(name, dir)
        .map_err(|error| Failure::new(error).hint("`mesh profile list` lists the profiles of this machine"))
}

fn unit(name: &str, dir: &std::path::Path) -> Result<String, Failure> {
    let profile = Profile::read(name, &text(name, dir)?)
        .map_err(|error| Failure::new(format_args!("failed to {error}")))?;
    agent::profile_unit(name, &profile, &membrane::Layers::find()).map_err(|why| {
        Failure::new(format_args!("this machine can't keep {name}: {why}"))
            .hint("`mesh doctor` tells what it can")
    })
}

fn list(context: &Context, dir: &std::path::Path, json: bool) -> Result<(), Failure> {
    let built_in = Profile::built_in().iter().map(|(name, _)| ((*name).to_owned(), "built in".to_owned()));
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let own = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).filter_map(|path| {
        let name = path.file_stem()?.to_str()?.to_owned();
        Some((name, path.display().to_string()))
    });
    let mut all: Vec<_> = built_in.chain(own).collect();
    all.sort();
    let checked = all.into_iter().map(|(name, place)| {
        let read = Profile::text(&name, dir).and_then(|text| Profile::read(&name, &text));
        (name, place, read.err().map(|error| error.to_string()))
    });
    if json {
        let rows: Vec<_> = checked
            .map(|(name, place, error)| json!({ "name": name, "place": place, "error": error }))
            .collect();
        return context.out.json(&rows);
    }
    let mut table = Table::new(&["PROFILE", "PLACE", "PROBLEM"]);
    for (name, place, error) in checked {
        table.row([name, place, error.unwrap_or_default().lines().next().unwrap_or_default().to_owned()]);
    }
    context.out.line(table.render())
}
