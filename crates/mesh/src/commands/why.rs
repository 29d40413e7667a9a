//! `mesh why`: the reasons behind an app's state, node by node.

use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::out::Paint;
use crate::view;

/// Say why an app is as it is.
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
    let why = context.block_on(async { Ok(client.why(&args.app).await?) })?;
    let out = &context.out;
    if args.json {
        out.json(&why)?;
        return Ok(Code::Ok);
    }
    out.line(format_args!(
        "{} is {}: {}",
        out.paint(Paint::Bold, &why.app_name),
        view::state(out, why.state),
        why.summary
    ))?;
    for line in &why.scale {
        out.line(format_args!("  {line}"))?;
    }
    for (node, verdict) in &why.nodes {
        out.line(format_args!("  {node}: {verdict}"))?;
    }
    for replica in &why.replicas {
        out.line(format_args!("  {replica}"))?;
    }
    if !why.events.is_empty() {
        out.line(out.paint(Paint::Dim, "last events:"))?;
    }
    for event in &why.events {
        out.line(format_args!("  {}", view::event(out, event)))?;
    }
    Ok(Code::Ok)
}
