//! `mesh env`: an app's environment over its manifest's, changed without repacking.

use std::collections::BTreeMap;

use clap::Subcommand;
use mycelium::api::PlanAt;
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::existing;
use crate::pairs::{self, Pair};
use crate::plans;
use crate::rollout::Waiting;

/// Change an app's environment without repacking it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set variables; the replicas are replaced without a failed request
    Set {
        /// The app
        app: AppName,
        /// NAME=VALUE
        #[arg(required = true, value_name = "NAME=VALUE")]
        variables: Vec<Pair>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Go back to what the manifest says
    Unset {
        /// The app
        app: AppName,
        /// The names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        waiting: Waiting,
    },
    /// Show what the plan sets and what the manifest says
    List {
        /// The app
        app: AppName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Set { app, variables, waiting } => change(context, &app, &waiting, |env| {
            env.extend(pairs::map(&variables));
        }),
        Action::Unset { app, names, waiting } => change(context, &app, &waiting, |env| {
            env.retain(|name, _| !names.contains(name));
        }),
        Action::List { app, json } => list(context, &app, json),
    }
}

fn change(
    context: &Context,
    app: &AppName,
    waiting: &Waiting,
    edit: impl Fn(&mut BTreeMap<String, String>),
) -> Result<Code, Failure> {
    let unchanged = format!("the environment of {app} is that already");
    change::plan(context, app, waiting, &unchanged, |at: &PlanAt| {
        let mut env = existing(app, at)?.release.env;
        edit(&mut env);
        Ok(plans::environment(at, env))
    })
}

fn list(context: &Context, app: &AppName, json: bool) -> Result<Code, Failure> {
    let client = context.client()?;
    let (plan, manifest) = context.block_on(async {
        let plan = existing(app, &client.plan(app).await?)?;
        // A spore that was removed from the repo still runs where it runs.
        let spore = client.spore(&plan.release.digest).await.ok();
        Ok((plan, spore.and_then(|spore| spore.manifest)))
    })?;
    let stated = manifest.map(|m| m["env"].clone()).unwrap_or_default();
    let stated: BTreeMap<String, String> = serde_json::from_value(stated).unwrap_or_default();
    if json {
        context.out.json(&serde_json::json!({ "plan": plan.release.env, "manifest": stated }))?;
        return Ok(Code::Ok);
    }
    let mut all: BTreeMap<&String, (&String, &str)> = BTreeMap::new();
    all.extend(stated.iter().map(|(name, value)| (name, (value, "manifest"))));
    all.extend(plan.release.env.iter().map(|(name, value)| (name, (value, "plan"))));
    let mut table = crate::table::Table::new(&["NAME", "FROM", "VALUE"]);
    for (name, (value, from)) in all {
        table.row([name.clone(), from.to_owned(), value.clone()]);
    }
    if table.is_empty() {
        context.out.note(format_args!("{app} has no environment of its own"));
    } else {
        context.out.line(table.render())?;
    }
    Ok(Code::Ok)
}
