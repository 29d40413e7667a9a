//! `mesh down`: nothing of the mesh of this state is left running, also after a `kill -9`.

use mycelium::client::ClientError;

use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::signals::Asked;
use crate::{signals, stopping};

/// Stop the mesh of this state, whatever is left of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Wait neither for open requests nor for workloads to finish
    #[arg(long)]
    now: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let paths = context.paths()?;
    let client = context.client()?;
    context.block_on(async {
        let asked = if args.now { Asked::now() } else { signals::listen(true)? };
        let state = paths.state.display();
        match client.version().await {
            Ok(version) => {
                stopping::stop(context, &client, version.pid, &asked).await?;
                context.out.note(format_args!("stopped the mesh in {state} (process {})", version.pid));
            }
            Err(ClientError::NotRunning(_)) => match stopping::sweep(context, &paths, &asked).await? {
                Some(ended) => context.out.note(format_args!("ended what was left in {state}: {ended}")),
                None => context.out.note(format_args!("nothing runs in {state}")),
            },
            Err(error) => return Err(error.into()),
        }
        Ok(Code::Ok)
    })
}
