//! `mesh rollback`: an app runs again what ran before, or a version that the repo still holds.

use mycelium::api::{PlanAt, SporeInfo};
use mycelium::client::Client;
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::existing;
use crate::plans::{self, Settings, Wish};
use crate::rollout::Waiting;
use crate::wish;

/// Go back to the release before, or to a given version.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The app
    app: AppName,
    /// The version [default: the release before this one]
    tag: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let Args { app, tag, waiting } = args;
    let wish = match &tag {
        Some(tag) => {
            let client = context.client()?;
            Some(context.block_on(async { find(&client, &app, tag).await })?)
        }
        None => None,
    };
    let unchanged = format!("{app} runs {} already", tag.as_deref().unwrap_or("that"));
    change::plan(context, &app, &waiting, &unchanged, |at: &PlanAt| {
        existing(&app, at)?;
        if let Some(wish) = &wish {
            return Ok(plans::deploy(at, wish, 0));
        }
        plans::roll_back(at).map(Some).ok_or_else(|| {
            Failure::new(format_args!("{app} has no release before this one"))
                .hint("name a version: `mesh repo list` shows those that are there")
        })
    })
}

/// The newest spore of that app and version in the repo.
async fn find(client: &Client, app: &AppName, tag: &str) -> Result<Wish, Failure> {
    let is_it = |spore: &SporeInfo| {
        let field = |name| spore.manifest.as_ref().and_then(|m| m[name].as_str());
        field("name") == Some(app.as_str()) && field("version") == Some(tag)
    };
    let spores = client.spores().await?;
    let found = spores.iter().filter(|spore| is_it(spore)).max_by_key(|spore| spore.stored_at);
    let found = found.ok_or_else(|| {
        Failure::new(format_args!("the repo holds no {app} {tag}"))
            .hint("`mesh repo list` shows the versions that are there")
    })?;
    wish::of_spore(found, Settings::default())
}
