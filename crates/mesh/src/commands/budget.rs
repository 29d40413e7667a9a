//! `mesh budget`: what an app may hold at once, over the whole mesh.

use clap::Subcommand;
use fabric::Kind;
use genome::Budget;
use mycelium::api::{AppUsage, BudgetAt, NodeUsage, UsageQuery};
use mycelium::client::ClientError;
use serde_json::json;
use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::table::Table;

/// More than any machine has: what isn't said is not capped. It is still a number every JSON reader agrees on.
const UNCAPPED: u64 = (1 << 53) - 1;

/// Cap what an app may hold.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Set caps; those that aren't given stay as they are
    Set(Set),
    /// Show the caps of an app, what it uses, and what it has left of its baseline
    Show {
        /// The app
        app: AppName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove the caps: the plan's bounds alone count
    Remove {
        /// The app
        app: AppName,
        /// Sign with this key of yours, or key file, instead of the operator's
        #[arg(long, value_name = "NAME|FILE")]
        operator: Option<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Set {
    /// The app
    app: AppName,
    /// The most replicas
    #[arg(long, required_unless_present_any = ["cpu_milli", "memory_mb"])]
    max_instances: Option<u32>,
    /// Thousandths of a CPU, all replicas together
    #[arg(long)]
    cpu_milli: Option<u64>,
    /// MiB, all replicas together
    #[arg(long)]
    memory_mb: Option<u64>,
    /// Sign with this key of yours, or key file, instead of the operator's
    #[arg(long, value_name = "NAME|FILE")]
    operator: Option<String>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    match args.action {
        Action::Set(set) => change(context, set)?,
        Action::Show { app, json } => show(context, &app, json)?,
        Action::Remove { app, operator } => remove(context, &app, operator.as_deref())?,
    }
    Ok(Code::Ok)
}

/// The budget with what is asked for; `None` when it is that already.
pub fn next(
    app: &AppName,
    at: &BudgetAt,
    (instances, cpu, memory): (Option<u32>, Option<u64>, Option<u64>),
) -> Option<Budget> {
    let current = at.budget.as_ref();
    let budget = Budget {
        app_name: app.clone(),
        max_instances: instances.or(current.map(|b| b.max_instances)).unwrap_or(u32::MAX),
        cpu_milli: cpu.or(current.map(|b| b.cpu_milli)).unwrap_or(UNCAPPED),
        memory_mb: memory.or(current.map(|b| b.memory_mb)).unwrap_or(UNCAPPED),
    };
    (current != Some(&budget)).then_some(budget)
}

fn change(context: &Context, set: Set) -> Result<(), Failure> {
    let operator = Operator::open(context, set.operator.as_deref())?;
    let caps = (set.max_instances, set.cpu_milli, set.memory_mb);
    let written = context.block_on(operator.change_budget(&set.app, |at| next(&set.app, at, caps)))?;
    match written {
        Some(budget) => context.out.line(describe(&budget)),
        None => {
            context.out.note(format_args!("the budget of {} is that already", set.app));
            Ok(())
        }
    }
}

fn show(context: &Context, app: &AppName, json: bool) -> Result<(), Failure> {
    let client = context.client()?;
    let query = UsageQuery { app: Some(app.clone()), here: false };
    let (at, nodes) = context.block_on(async {
        let at = client.budget(app).await?;
        match client.usage(&query).await {
            // Caps may be set before there is an app.
            Err(ClientError::Refused { status, .. }) if status == 404 => Ok((at, Vec::new())),
            nodes => Ok((at, nodes?)),
        }
    })?;
    let hosts: Vec<&NodeUsage> = nodes.iter().filter(|node| !node.replicas.is_empty()).collect();
    if json {
        return context.out.json(&json!({
            "appName": app,
            "budget": at.budget,
            "nodes": hosts.iter().map(|node| on_node(node)).collect::<Vec<_>>(),
            "sum": sum(&hosts),
        }));
    }
    match at.budget {
        Some(budget) => context.out.line(describe(&budget))?,
        None => context.out.note(format_args!("{app} has no budget: its plan's bounds alone count")),
    }
    super::top::warn_of_silent(&context.out, &nodes);
    if hosts.is_empty() {
        return Ok(());
    }
    let mut table = Table::new(&["NODE", "REPLICAS", "CPU", "BASELINE", "WEIGHT", "CREDITS"]);
    for node in &hosts {
        table.row(cells(node.node.to_string(), node.replicas.len(), node.apps.first()));
    }
    if hosts.len() > 1 {
        let replicas = hosts.iter().map(|node| node.replicas.len()).sum();
        table.row(cells("all".to_owned(), replicas, sum(&hosts).as_ref()));
    }
    context.out.line(table.render())
}

fn cells(name: String, replicas: usize, stands: Option<&AppUsage>) -> [String; 6] {
    let milli = |milli: u64| format!("{milli} mCPU");
    let weight = |app: &AppUsage| {
        let bursts = if app.bursts { ", bursts" } else { "" };
        format!("{}{bursts}", milli(app.weight_milli))
    };
    let credits = |app: &AppUsage| format!("{} of {}", seconds(app.credits_us), seconds(app.cap_us));
    [
        name,
        replicas.to_string(),
        stands.map(|app| milli(app.used_milli)).unwrap_or_default(),
        stands.map(|app| milli(app.baseline_milli)).unwrap_or_default(),
        stands.map(weight).unwrap_or_default(),
        stands.map(credits).unwrap_or_default(),
    ]
}

fn on_node(node: &NodeUsage) -> serde_json::Value {
    json!({ "nodeID": node.node, "at": node.at, "replicas": node.replicas.len(), "stands": node.apps.first() })
}

/// How the app stands over all nodes; nothing where it has no baseline.
fn sum(hosts: &[&NodeUsage]) -> Option<AppUsage> {
    let all = hosts.iter().filter_map(|node| node.apps.first().cloned());
    all.reduce(|one, other| AppUsage {
        app: one.app,
        baseline_milli: one.baseline_milli + other.baseline_milli,
        used_milli: one.used_milli + other.used_milli,
        credits_us: one.credits_us + other.credits_us,
        cap_us: one.cap_us + other.cap_us,
        weight_milli: one.weight_milli + other.weight_milli,
        bursts: one.bursts || other.bursts,
    })
}

/// Microseconds of a CPU, as seconds of one.
pub fn seconds(micros: u64) -> String {
    match micros {
        0 => "0 s".to_owned(),
        1..10_000_000 => format!("{}.{} s", micros / 1_000_000, micros / 100_000 % 10),
        _ => format!("{} s", micros / 1_000_000),
    }
}

fn remove(context: &Context, app: &AppName, key: Option<&str>) -> Result<(), Failure> {
    let operator = Operator::open(context, key)?;
    context.block_on(async {
        let at = operator.client().budget(app).await?;
        if at.budget.is_none() {
            context.out.note(format_args!("{app} has no budget"));
            return Ok(());
        }
        operator.remove(Kind::Budget, app, at.next_generation).await?;
        context.out.note(format_args!("the budget of {app} is removed"));
        Ok(())
    })
}

fn describe(budget: &Budget) -> String {
    let cap = |value: u64, unit: &str| match value {
        UNCAPPED => "uncapped".to_owned(),
        value => format!("{value} {unit}"),
    };
    let instances = match budget.max_instances {
        u32::MAX => "uncapped".to_owned(),
        count => count.to_string(),
    };
    format!(
        "{}: replicas {instances}, cpu {}, memory {}",
        budget.app_name,
        cap(budget.cpu_milli, "mCPU"),
        cap(budget.memory_mb, "MiB")
    )
}
