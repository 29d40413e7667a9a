//! `mesh config`: texts for replicas that are no secret.

use clap::Subcommand;
use fabric::{Kind, Record, RecordName};
use genome::Config;
use types::{AppName, SettingName};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::setting::{self, Given, Removal, What};
use crate::table::Table;

/// A record holds 64 KiB, and JSON makes a line end two bytes.
const MAX_CONFIG: usize = 48 * 1024;

/// Keep texts for replicas, which everybody in the mesh may read.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set a config from a file or standard input; replicas that read it are replaced one by one
    Set(Given),
    /// List the configs
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a config
    Show {
        /// Which
        name: SettingName,
    },
    /// Remove a config
    Rm(Removal),
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Set(set) => change(context, &set)?,
        Action::List { json } => list(context, json)?,
        Action::Show { name } => show(context, &name)?,
        Action::Rm(removal) => removal.run(context, What::Config)?,
    }
    Ok(Code::Ok)
}

fn change(context: &Context, set: &Given) -> Result<(), Failure> {
    let (name, value) = set.read(What::Config, MAX_CONFIG)?;
    let text = std::str::from_utf8(&value).map_err(|_| {
        Failure::usage(format_args!("the config {name} is not UTF-8 text"))
            .hint("bytes of any kind go into a secret, or into the spore's files")
    })?;
    let operator = Operator::open(context, set.operator.as_deref())?;
    context.block_on(async {
        let at = operator.client().settings().await?;
        let version = std::cell::Cell::new(0);
        let said = operator
            .say(&Kind::Config, &RecordName::of_setting(&name), |record, hand| {
                let before: Option<Config> =
                    record.value.clone().and_then(|value| serde_json::from_value(value).ok());
                let config = Config {
                    name: name.clone(),
                    version: record.next_generation,
                    app_names: set.apps(before.as_ref().map(|config| &config.app_names)),
                    text: text.to_owned(),
                };
                if before
                    .is_some_and(|before| before.text == config.text && before.app_names == config.app_names)
                {
                    return Ok(None);
                }
                version.set(config.version);
                Ok(Some(Record::config(hand.mesh(), record.next_generation, &config, hand.key())?))
            })
            .await?;
        let Some(receipt) = said else {
            context.out.note(format_args!("the config {name} is that already"));
            return Ok(());
        };
        let version = version.get();
        context.out.note(format_args!("the config {name} is version {version} ({})", receipt.safe));
        if !set.no_restart {
            setting::roll_out(context, &operator, (What::Config, &name, version), &at).await?;
        }
        Ok(())
    })
}

fn list(context: &Context, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let at = context.block_on(async { Ok(client.settings().await?) })?;
    if json {
        return context.out.json(&at.configs);
    }
    let mut table = Table::new(&["NAME", "VERSION", "FOR", "USED BY", "BYTES"]);
    for config in &at.configs {
        let apps: Vec<&str> = config.app_names.iter().map(AppName::as_str).collect();
        let users: Vec<&str> =
            setting::users(What::Config, &config.name, &at).into_iter().map(AppName::as_str).collect();
        table.row([
            config.name.to_string(),
            config.version.to_string(),
            if apps.is_empty() { "any app".to_owned() } else { apps.join(" ") },
            users.join(" "),
            config.bytes.to_string(),
        ]);
    }
    if table.is_empty() {
        context.out.note("there is no config yet; `mesh config set NAME` makes one");
        return Ok(());
    }
    context.out.line(table.render())
}

fn show(context: &Context, name: &SettingName) -> Result<(), Failure> {
    let client = context.client()?;
    let at =
        context.block_on(async { Ok(client.record(&Kind::Config, &RecordName::of_setting(name)).await?) })?;
    let config: Option<Config> = at.value.and_then(|value| serde_json::from_value(value).ok());
    match config {
        Some(config) => context.out.raw(config.text.as_bytes()),
        None => Err(setting::no_such(What::Config, name)),
    }
}

/// Whether all of these are there.
pub fn refuse_missing<'a>(
    at: &mycelium::api::SettingsAt,
    mut names: impl Iterator<Item = &'a SettingName>,
) -> Result<(), Failure> {
    match names.find(|name| !at.configs.iter().any(|config| config.name == **name)) {
        Some(name) => Err(setting::no_such(What::Config, name)),
        None => Ok(()),
    }
}
