//! `mesh restart`: an app's replicas are replaced by new ones of the same release, without a failed request.

use mycelium::api::PlanAt;
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::existing;
use crate::plans;
use crate::rollout::Waiting;

/// Start an app's replicas anew, one by one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let Args { app, waiting } = args;
    change::plan(context, &app, &waiting, "", |at: &PlanAt| {
        if existing(&app, at)?.max == 0 {
            return Err(Failure::new(format_args!("{app} is stopped"))
                .hint(format_args!("`mesh scale {app} 1` starts it")));
        }
        Ok(plans::restart(at))
    })
}
