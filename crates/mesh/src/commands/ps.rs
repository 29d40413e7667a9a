//! `mesh ps`: every replica with its version and state.

use genome::ReplicaState;
use mycelium::api::AppStatus;
use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::publisher::now;
use crate::view;

/// Show every replica.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this app
    app: Option<AppName>,
    /// Those that are done as well
    #[arg(short, long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let mut apps: Vec<AppStatus> = context.block_on(async {
        Ok(match &args.app {
            Some(app) => vec![client.app(app).await?],
            None => client.status().await?.apps,
        })
    })?;
    if !args.all && args.app.is_none() {
        for app in &mut apps {
            app.replicas.retain(|replica| replica.state != ReplicaState::Completed);
        }
    }
    if args.json {
        let replicas: Vec<_> = apps.iter().flat_map(|app| &app.replicas).collect();
        context.out.json(&replicas)?;
        return Ok(Code::Ok);
    }
    let table = view::replicas(&context.out, &apps, now());
    if table.is_empty() {
        context.out.note("no replicas");
    } else {
        context.out.line(table.render())?;
        for size in view::sizes(&context.out, &apps) {
            context.out.line(size)?;
        }
    }
    Ok(Code::Ok)
}
