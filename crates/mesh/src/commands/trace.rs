//! `mesh trace`: what an app's replicas do, as the kernel tells it.

use mycelium::api::{Trace, TraceQuery, TraceWhat};
use types::{AppName, ReplicaName};

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Paint;

/// Show what replicas do from now on: programs, ends, connections, and what is refused to them
///
/// Where a node has no eBPF its replicas are glanced at some times a second, which the first line of each says.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// Only what replicas of this node do
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
    let query = TraceQuery { replica: args.replica, here: args.here };
    context.block_on(async {
        let traces = client.trace(&args.app, &query).await?;
        context.print_each(traces, args.json, |trace| show(context, trace)).await
    })
}

fn show(context: &Context, trace: &Trace) -> Result<(), Failure> {
    let (paint, kind, what) = words(&trace.what);
    let kind = context.out.paint(paint, format_args!("{kind:<8}"));
    let who = context.out.paint(Paint::Dim, format_args!("{}/{}", trace.node, trace.replica));
    let pid = trace.pid.map(|pid| format!("[{pid}]")).unwrap_or_default();
    let process = trace.process.as_deref().unwrap_or_default();
    let by = Some(format!("{process}{pid} ")).filter(|by| by != " ").unwrap_or_default();
    let line = format!("{} {kind} {who} {by}{what}", trace.at);
    context.out.line(line.trim_end())
}

fn words(what: &TraceWhat) -> (Paint, &'static str, String) {
    match what {
        TraceWhat::Exec { program } => (Paint::Green, "exec", program.clone().unwrap_or_default()),
        TraceWhat::Exit { code: Some(code), .. } => (Paint::Dim, "exit", format!("status {code}")),
        TraceWhat::Exit { signal: Some(signal), .. } => (Paint::Yellow, "exit", format!("signal {signal}")),
        TraceWhat::Exit { .. } => (Paint::Dim, "exit", String::new()),
        TraceWhat::Connect { protocol, address } => {
            (Paint::Bold, "connect", format!("{address} ({protocol})"))
        }
        TraceWhat::Refused { call, protocol, address } => {
            let address = address.map(|address| format!(" {address}")).unwrap_or_default();
            (Paint::Red, "refused", format!("{call}{address} ({protocol})"))
        }
        TraceWhat::Sampled { every_ms, why } => (
            Paint::Yellow,
            "sampled",
            format!(
                "glanced at every {every_ms} ms, so what is shorter, how processes end, datagrams and refusals aren't \
                 seen: {why}"
            ),
        ),
        TraceWhat::Lost { count } => {
            (Paint::Yellow, "lost", format!("{count} things that were not told in time"))
        }
    }
}
