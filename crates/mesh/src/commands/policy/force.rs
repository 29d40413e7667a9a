//! `mesh policy set | list | show | rm`: which policies are in force, as operators sign it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fabric::{Kind, Record, RecordName};
use genome::Policy;
use mycelium::admission::module;
use mycelium::api::PolicyStatus;
use mycelium::client::Client;
use types::AppName;

use super::{evaluator, failed, files};
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::table::Table;

pub(super) fn set(context: &Context, paths: &[PathBuf], key: Option<&str>) -> Result<Code, Failure> {
    let mut wanted = BTreeMap::new();
    for path in paths.iter().filter(|path| !files::is_test(&path.to_string_lossy())) {
        let policy = Policy { name: name(path)?, rego: files::text(path)? };
        let refused =
            |what: &dyn std::fmt::Display| Failure::usage(format_args!("{}: {what}", path.display()));
        policy.validate().map_err(|invalid| refused(&invalid))?;
        if wanted.insert(policy.name.clone(), policy).is_some() {
            return Err(refused(&"another of these files has the same name"));
        }
    }
    if wanted.is_empty() {
        return Err(Failure::usage("these files hold tests only"));
    }
    let operator = Operator::open(context, key)?;
    let mut together = in_force(context, operator.client())?;
    together.extend(wanted.clone());
    compiles(&together)?;
    for (name, policy) in wanted {
        let said =
            context.block_on(operator.say(&Kind::Policy, &RecordName::of_app(&name), |at, hand| {
                let held =
                    at.value.as_ref().and_then(|value| serde_json::from_value::<Policy>(value.clone()).ok());
                if held.as_ref() == Some(&policy) {
                    return Ok(None);
                }
                Ok(Some(Record::policy(hand.mesh(), at.next_generation, &policy, hand.key())?))
            }))?;
        context.out.note(match said {
            Some(receipt) => format!("in force: {name} ({})", receipt.safe),
            None => format!("in force already: {name}"),
        });
    }
    Ok(Code::Ok)
}

/// A policy that doesn't compile with the others would keep everything from starting.
fn compiles(policies: &BTreeMap<AppName, Policy>) -> Result<(), Failure> {
    let modules: Vec<_> = policies.values().map(module).collect();
    evaluator()?.check(&modules).map_err(|error| {
        failed(&error)
            .code(Code::Usage)
            .hint("nothing was changed: in force, it would keep every spore from starting")
    })
}

fn in_force(context: &Context, client: &Client) -> Result<BTreeMap<AppName, Policy>, Failure> {
    let held = context.block_on(async { Ok(client.policies().await?) })?;
    Ok(held.into_iter().map(|of| (of.name.clone(), Policy { name: of.name, rego: of.rego })).collect())
}

/// A file's name as that of a policy: `required_labels.rego` is `required-labels`.
fn name(path: &Path) -> Result<AppName, Failure> {
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    AppName::new(&stem.replace('_', "-")).map_err(|_| {
        Failure::usage(format_args!("{}: {stem:?} can't be the name of a policy", path.display()))
            .hint("name the file with 1 to 63 of a-z, 0-9, '-' and '_'")
    })
}

pub(super) fn list(context: &Context, json: bool) -> Result<Code, Failure> {
    let client = context.client()?;
    let held = context.block_on(async { Ok(client.policies().await?) })?;
    if json {
        context.out.json(&held)?;
        return Ok(Code::Ok);
    }
    if held.is_empty() {
        context.out.note("no policy is in force: whatever trusted publishers sign may start");
        return Ok(Code::Ok);
    }
    let mut table = Table::new(&["NAME", "GENERATION", "LINES", "SIGNED BY"]);
    for PolicyStatus { name, generation, writer, rego, .. } in held {
        table.row([name.to_string(), generation.to_string(), rego.lines().count().to_string(), writer]);
    }
    context.out.line(table.render())?;
    Ok(Code::Ok)
}

pub(super) fn show(context: &Context, name: &AppName) -> Result<Code, Failure> {
    let client = context.client()?;
    match in_force(context, &client)?.get(name) {
        Some(policy) => context.out.raw(policy.rego.as_bytes())?,
        None => return Err(absent(name)),
    }
    Ok(Code::Ok)
}

pub(super) fn remove(context: &Context, names: &[AppName], key: Option<&str>) -> Result<Code, Failure> {
    let operator = Operator::open(context, key)?;
    let mut left = in_force(context, operator.client())?;
    for name in names {
        left.remove(name).ok_or_else(|| absent(name))?;
    }
    // What is wrong already must be removable, so this is no refusal.
    if let Some(Err(error)) = (!left.is_empty()).then(|| compiles(&left)) {
        context.out.warn(format_args!("what is left keeps every spore from starting: {}", error.error));
    }
    for name in names {
        let said = context.block_on(operator.unsay(Kind::Policy, &RecordName::of_app(name)))?;
        let safe = said.map(|receipt| format!(" ({})", receipt.safe)).unwrap_or_default();
        context.out.note(format_args!("no longer in force: {name}{safe}"));
    }
    Ok(Code::Ok)
}

fn absent(name: &AppName) -> Failure {
    Failure::new(format_args!("no policy in force is called {name}")).hint("`mesh policy list` lists them")
}
