//! `mesh scale`: how many replicas an app has, how much each gets, and between which bounds that follows demand.

use mycelium::api::PlanAt;
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::existing;
use crate::plans;
use crate::ration::Ration;
use crate::rollout::Waiting;
use crate::span::Span;

/// Change how many replicas an app has, between which bounds that follows demand, or how much each gets.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// So many, whatever the demand
    #[arg(required_unless_present_any = ["min", "max", "idle", "settle", "nutrients"])]
    instances: Option<u32>,
    /// The fewest; with 0 it sleeps while nobody asks for it
    #[arg(long)]
    min: Option<u32>,
    /// The most
    #[arg(long)]
    max: Option<u32>,
    /// So long without a request, and it sleeps, if 0 are enough
    #[arg(long, value_name = "TIME")]
    idle: Option<Span>,
    /// So long must fewer be enough before the others leave
    #[arg(long, value_name = "TIME")]
    settle: Option<Span>,
    /// How much each replica gets: `auto` for what the mesh learns that it needs, numbers (thousandths of a CPU, MiB), or
    /// `manifest` for what that says; what runs gets it as it runs
    #[arg(long, value_name = "auto|manifest|cpu=N,memory=N")]
    nutrients: Option<Ration>,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let Args { app, instances, min, max, idle, settle, nutrients, waiting } = args;
    let asked = plans::replicas(instances, min, max).map_err(Failure::usage)?;
    let unchanged = format!("{app} is scaled so already");
    change::plan(context, &app, &waiting, &unchanged, |at: &PlanAt| {
        let plan = existing(&app, at)?;
        let bounds = match (min, max, asked) {
            // What isn't said stays, as far as it can.
            (Some(min), None, _) => (min, plan.max.max(min)),
            (None, Some(max), _) => (plan.min.min(max), max),
            (_, _, Some(bounds)) => bounds,
            (_, _, None) => (plan.min, plan.max),
        };
        if plan.scale.is_none() && (bounds.0 < bounds.1 || idle.is_some() || settle.is_some()) {
            return Err(Failure::usage(format_args!(
                "{app} was deployed by a mesh that didn't follow demand"
            ))
            .hint("deploy it again, with the bounds: `mesh deploy … --min N --max N`"));
        }
        Ok(plans::scale(at, bounds, (idle, settle), nutrients))
    })
}
