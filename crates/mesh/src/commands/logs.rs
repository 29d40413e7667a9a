//! `mesh logs`: what an app's replicas wrote to their stdout and stderr.

use mycelium::api::{LogLine, LogQuery};
use types::{AppName, ReplicaName};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Paint;

/// Show what replicas wrote.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// Go on with what is written from now on, by new replicas too
    #[arg(short, long)]
    follow: bool,
    /// The last lines of each replica only
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<usize>,
    /// Only what replicas of this node wrote
    #[arg(long)]
    here: bool,
    /// Only this replica
    #[arg(long)]
    replica: Option<ReplicaName>,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let query = LogQuery { tail: args.tail, follow: args.follow, replica: args.replica, here: args.here };
    context.block_on(async {
        let lines = client.logs(&args.app, &query).await?;
        context.print_each(lines, args.json, |line| show(context, line)).await
    })
}

fn show(context: &Context, line: &LogLine) -> Result<(), Failure> {
    let paint = if line.stream == "err" { Paint::Yellow } else { Paint::Dim };
    let who = context.out.paint(paint, format_args!("{}/{}", line.node, line.replica));
    context.out.line(format_args!("{who} {}", line.line))
}
