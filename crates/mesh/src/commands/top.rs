//! `mesh top`: what replicas use, live.

mod rows;
mod screen;

use std::io::{IsTerminal as _, stdout};
use std::time::Duration;

use mycelium::api::{NodeUsage, UsageQuery};
use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Out;
use crate::signals;

use rows::{Row, rows, table};
use screen::Screen;

/// Show what replicas use, live: of a CPU, of their memory, and what their apps have left of their baselines.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this app
    app: Option<AppName>,
    /// What a line is about
    #[arg(long, value_enum, default_value = "replica")]
    by: By,
    /// What comes first
    #[arg(long, value_enum, default_value = "cpu")]
    sort: Sort,
    /// How often it is asked for
    #[arg(short = 'n', long, value_name = "TIME", default_value = "2s", value_parser = interval)]
    interval: Duration,
    /// Print it once; so it is where there is no terminal
    #[arg(long)]
    once: bool,
    /// Print JSON, one object a line; with --once once, else until it is stopped
    #[arg(long)]
    json: bool,
}

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum By {
    /// An app, over all nodes.
    App,
    /// A node.
    Node,
    /// A replica.
    Replica,
}

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sort {
    /// Who uses most of a CPU.
    Cpu,
    /// Who uses most memory.
    Mem,
    /// By name.
    Name,
}

fn interval(text: &str) -> Result<Duration, String> {
    let parsed = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let shortest = Duration::from_millis(100);
    if parsed < shortest {
        Err("it is read each second: ask no more often than each 100ms".into())
    } else {
        Ok(parsed)
    }
}

/// Runs it.
pub fn run(context: &Context, args: &Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let query = UsageQuery { app: args.app.clone(), here: false };
    let live = !args.once && (args.json || stdout().is_terminal());
    context.block_on(async {
        let asked = signals::listen(true)?;
        let first = client.usage(&query).await?;
        if !live {
            return show(context, args, &first);
        }
        let mut screen = (!args.json).then(Screen::open).transpose()?;
        let mut usage = first;
        loop {
            match &mut screen {
                Some(screen) => screen.show(&text(context, args, &usage))?,
                None => show(context, args, &usage)?,
            }
            tokio::select! {
                () = tokio::time::sleep(args.interval) => {}
                () = asked.clone().times(1) => return Ok(()),
            }
            usage = client.usage(&query).await?;
        }
    })?;
    Ok(Code::Ok)
}

fn show(context: &Context, args: &Args, usage: &[NodeUsage]) -> Result<(), Failure> {
    if args.json {
        return rows(usage, args.by, args.sort).iter().try_for_each(|row: &Row| context.out.ndjson(row));
    }
    warn_of_silent(&context.out, usage);
    context.out.line(text(context, args, usage))
}

/// Warns of each node whose use isn't known.
pub(super) fn warn_of_silent(out: &Out, nodes: &[NodeUsage]) {
    for (node, why) in nodes.iter().filter_map(|node| Some((&node.node, node.unknown.as_ref()?))) {
        out.warn(format_args!("{node}: {why}"));
    }
}

fn text(context: &Context, args: &Args, usage: &[NodeUsage]) -> String {
    let rows = rows(usage, args.by, args.sort);
    if rows.is_empty() {
        return "nothing runs whose use is counted; `mesh doctor` says what this machine can count"
            .to_owned();
    }
    table(&context.out, &rows, args.by)
}
