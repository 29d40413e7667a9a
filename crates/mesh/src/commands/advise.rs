//! `mesh advise`: how much an app's replicas need, as the mesh has learned, and on what that is based.

use std::time::Duration;

use mycelium::api::{Advice, Evidence, Spread};
use types::{AppName, Nutrients};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::{Out, Paint};
use crate::span::short;

/// Say how much an app's replicas need, and on what that is based.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let advice = context.block_on(async { Ok(client.advice(&args.app).await?) })?;
    let out = &context.out;
    if args.json {
        out.json(&advice)?;
        return Ok(Code::Ok);
    }
    out.line(format_args!("{} {}", out.paint(Paint::Bold, &advice.app_name), advice.version))?;
    out.line(format_args!("  now      {}", advice.now_because))?;
    out.line(format_args!("  advised  {}", advised(&advice)))?;
    evidence(out, &advice.evidence)?;
    if let Some(command) = command(&advice) {
        out.line(format_args!("\nto give it that, and what is learned from now on:  {}", command.0))?;
        out.line(format_args!("to give it that and no more of it:  {}", command.1))?;
    }
    Ok(Code::Ok)
}

fn size(of: Nutrients) -> String {
    format!("{} cpu_milli and {} MiB each", of.cpu_milli, of.memory_mb)
}

fn advised(advice: &Advice) -> String {
    let Some(advised) = advice.advised else {
        let there = advice.evidence.enough_permille.min(999) / 10;
        return format!("nothing yet: {there} % of the evidence that it takes is there");
    };
    let held = match advice.held {
        true => ", the most that its budget, or four times its manifest's size, lets it have: it needs more",
        false => "",
    };
    size(advised) + held
}

fn evidence(out: &Out, evidence: &Evidence) -> Result<(), Failure> {
    let Evidence { nodes, samples, observed_s, oom_kills, .. } = evidence;
    let on = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
    let span = short(Duration::from_secs(*observed_s));
    out.line(format_args!("  seen     {span} of replicas on {on}, in {samples} samples"))?;
    let spread = |name: &str, unit: &str, of: Option<Spread>| match of {
        Some(Spread { p50, p95, p99, max, .. }) => {
            format!("  {name:<8} p50 {p50}, p95 {p95}, p99 {p99}, max {max} {unit}")
        }
        None => format!("  {name:<8} not counted"),
    };
    out.line(spread("cpu", "cpu_milli", evidence.cpu_milli))?;
    out.line(spread("memory", "MiB (peaks)", evidence.memory_mb))?;
    if let Some(Spread { p50, p90, .. }) = evidence.ready_ms {
        out.line(format_args!("  ready    p50 {p50}, p90 {p90} ms after a start"))?;
    }
    if *oom_kills > 0 {
        let times = if *oom_kills == 1 { "once".to_owned() } else { format!("{oom_kills} times") };
        out.line(format_args!("  killed   {times} for lack of memory, for which it gets more"))?;
    }
    Ok(())
}

/// What gives it that: by following what is learned, and by the numbers.
fn command(advice: &Advice) -> Option<(String, String)> {
    let Nutrients { cpu_milli, memory_mb } = advice.advised.filter(|_| !advice.auto)?;
    let app = &advice.app_name;
    let mut numbers = Vec::new();
    if cpu_milli > 0 {
        numbers.push(format!("cpu={cpu_milli}"));
    }
    if memory_mb > 0 {
        numbers.push(format!("memory={memory_mb}"));
    }
    let fixed = format!("mesh scale {app} --nutrients {}", numbers.join(","));
    Some((format!("mesh scale {app} --nutrients auto"), fixed))
}
