//! `mesh stop`: no replica of an app is left; with `--purge` its plan goes as well.

use std::time::Duration;

use fabric::Kind;
use mycelium::api::{AppStatus, PlanAt};
use mycelium::client::{Client, ClientError};
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::{Operator, existing};
use crate::plans;
use crate::rollout::Waiting;

/// How often it is looked whether the replicas are gone.
const REFRESH: Duration = Duration::from_millis(100);

/// Stop an app.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// Remove its plan as well; without it `mesh deploy` or `mesh scale` bring the app back
    #[arg(long)]
    purge: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let Args { app, purge, waiting } = args;
    let unchanged = format!("{app} is stopped already");
    let code = change::plan(context, &app, &waiting, &unchanged, |at: &PlanAt| {
        existing(&app, at)?;
        Ok(plans::scale(at, (0, 0), (None, None), None))
    })?;
    if purge {
        let operator = Operator::open(context, waiting.key())?;
        context.block_on(async {
            let next = operator.client().plan(&app).await?.next_generation;
            operator.remove(Kind::Plan, &app, next).await?;
            gone(operator.client(), &app).await
        })?;
        context.out.note(format_args!("{app} is removed; its spores stay until `mesh repo gc`"));
    }
    Ok(code)
}

/// Waits until the mesh doesn't know the app any more.
async fn gone(client: &Client, app: &AppName) -> Result<(), Failure> {
    loop {
        match client.app(app).await {
            Ok(AppStatus { .. }) => tokio::time::sleep(REFRESH).await,
            Err(ClientError::Refused { status, .. }) if status.as_u16() == 404 => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
