//! `mesh version`: which binary this is, and which one runs.

use serde_json::json;

use crate::cli::VERSION;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;

/// Print the version of this binary and of the running mesh.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let running = context.if_running(client.version())?;
    if args.json {
        context.out.json(&json!({ "version": VERSION, "running": running }))?;
        return Ok(Code::Ok);
    }
    context.out.line(format_args!("mesh {VERSION}"))?;
    if let Some(running) = running {
        context.out.line(format_args!("running: {} (process {})", running.version, running.pid))?;
    }
    Ok(Code::Ok)
}
