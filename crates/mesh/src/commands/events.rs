//! `mesh events`: what happened on this machine, oldest first.

use mycelium::api::EventQuery;
use types::AppName;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::view;

/// Show what happened.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this app
    app: Option<AppName>,
    /// Go on with what happens from now on
    #[arg(short, long)]
    follow: bool,
    /// The last ones only
    #[arg(short = 'n', long, value_name = "EVENTS")]
    tail: Option<usize>,
    /// Only those after the event of this number
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since: u64,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let client = context.client()?;
    let query = EventQuery { since: args.since, tail: args.tail, follow: args.follow, app: args.app };
    context.block_on(async {
        let events = client.events(&query).await?;
        context
            .print_each(events, args.json, |event| context.out.line(view::event(&context.out, event)))
            .await
    })
}
