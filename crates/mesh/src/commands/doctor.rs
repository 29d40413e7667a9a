//! `mesh doctor`: what this machine can hold workloads to, for the user that asks.

use agent::Profile;
use membrane::{By, Facts, Hold, Version};
use serde_json::json;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::table::Table;

/// Show what this machine can confine workloads with, as this user, and why not what it can't.
///
/// It tries each thing and leaves nothing behind. Ends with 1 where not even the profile `default` can be kept. Nodes
/// publish the same as labels, so that a plan can ask for it: `mesh deploy --constraint mesh.memory=v2`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: &Args) -> Result<Code, Failure> {
    let facts = Facts::find();
    let profiles: Vec<_> =
        Profile::built_in().iter().map(|(name, text)| (*name, keeps(&facts, name, text))).collect();
    let code = if profiles.iter().any(|(name, kept)| *name == "default" && kept.is_err()) {
        Code::Failure
    } else {
        Code::Ok
    };
    if args.json {
        let profiles: serde_json::Map<_, _> =
            profiles.into_iter().map(|(name, kept)| (name.to_owned(), json!(kept))).collect();
        context.out.json(&json!({ "facts": facts, "labels": facts.labels(), "profiles": profiles }))?;
        return Ok(code);
    }
    let mut table = Table::new(&["WHAT", "GIVEN", "BY, OR WHY NOT"]);
    let mut row = |what: &str, given: Result<String, &String>| {
        let (given, how) = match given {
            Ok(how) => ("yes", how),
            Err(why) => ("no", why.clone()),
        };
        table.row([what.to_owned(), given.to_owned(), how]);
    };
    let layers = &facts.layers;
    let said = |given: &'static str| move |_: &()| given.to_owned();
    row("files, processes", layers.room.as_ref().map(said("namespaces, a root of its own")));
    row("user", layers.user.as_ref().map(said("one for each replica")));
    row("files, ports", layers.landlock.as_ref().map(|version| format!("Landlock {version}")));
    row("system calls", Ok("seccomp".to_owned()));
    let by = if layers.reach.is_ok() { "eBPF at its cgroup" } else { "a network of its own, and a relay" };
    row("addresses, UDP", layers.exact(By::Any).as_ref().map(said(by)));
    let budgets = &facts.budgets;
    for (what, hold) in [
        ("share of CPU", &budgets.cpu),
        ("memory", &budgets.memory),
        ("processes", &budgets.pids),
        ("share of disks", &budgets.io),
    ] {
        row(
            what,
            match hold {
                Hold::By(Version::V1) => Ok("cgroup v1".to_owned()),
                Hold::By(Version::V2) => Ok("cgroup v2".to_owned()),
                Hold::Not(why) => Err(why),
            },
        );
    }
    for (name, kept) in &profiles {
        let how = kept.as_ref().map(|_| "by what stands above".to_owned());
        row(&format!("profile {name}"), how);
    }
    context.out.line(table.render())?;
    Ok(code)
}

/// Whether workloads can be kept in a profile here.
fn keeps(facts: &Facts, name: &str, text: &str) -> Result<(), String> {
    let profile = Profile::read(name, text).map_err(|error| error.to_string())?;
    facts.layers.confine(profile.kept.by)
}
