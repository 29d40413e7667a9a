//! `mesh scale`: how many replicas an app has.

use mycelium::api::PlanAt;
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::existing;
use crate::plans;
use crate::rollout::Waiting;

/// Change how many replicas an app has.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// So many, whatever the demand
    #[arg(required_unless_present_any = ["min", "max"])]
    instances: Option<u32>,
    /// The fewest
    #[arg(long)]
    min: Option<u32>,
    /// The most
    #[arg(long)]
    max: Option<u32>,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let Args { app, instances, min, max, waiting } = args;
    let asked = plans::replicas(instances, min, max).map_err(Failure::usage)?;
    let unchanged = format!("{app} has these bounds already");
    change::plan(context, &app, &waiting, &unchanged, |at: &PlanAt| {
        let plan = existing(&app, at)?;
        let bounds = match (min, max, asked) {
            // What isn't said stays, as far as it can.
            (Some(min), None, _) => (min, plan.max.max(min)),
            (None, Some(max), _) => (plan.min.min(max), max),
            (_, _, Some(bounds)) => bounds,
            (_, _, None) => (plan.min, plan.max),
        };
        Ok(plans::scale(at, bounds))
    })
}
