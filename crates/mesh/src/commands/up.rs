//! `mesh up`: from a `mesh.toml` to everything running, in one command; then a live view until Ctrl-C.
//!
//! Always a client: a mesh that it has to start is a process of its own, which it asks to end when it ends.

mod live;
mod reach;

use std::collections::BTreeSet;
use std::path::PathBuf;

use mycelium::api::PlanAt;
use mycelium::client::Client;
use soul::SecretKey;
use spore::Template;
use types::AppName;

use crate::bind;
use crate::commands::budget;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::identity::Tree;
use crate::listen::Listen;
use crate::meshfile::{self, App, MeshFile};
use crate::operator::Operator;
use crate::plans::{self, Settings};
use crate::rollout::{self, Want};
use crate::signals::{self, Asked};
use crate::span::Span;
use crate::{bring, publisher, recipe, stopping, view};
use reach::Reached;

/// Build, pack, publish and run everything a mesh.toml describes, and watch it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file, or its folder
    #[arg(value_name = "FILE", default_value = meshfile::NAME)]
    file: PathBuf,
    /// Leave the mesh running and return when all is ready
    #[arg(short, long)]
    detach: bool,
    /// How many agents [default: the file's, else 1]
    #[arg(long, value_name = "N")]
    nodes: Option<u32>,
    /// Where HTTP comes in [default: the file's, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    edge: Option<Listen>,
    /// Sign the spores with this key of yours, or key file [default: the file's, else the development key]
    #[arg(long, value_name = "NAME|FILE")]
    key: Option<String>,
    /// How long to wait until all is ready
    #[arg(long, value_name = "TIME", default_value = "5m")]
    timeout: Span,
}

/// An app of the file with its manifest and version.
struct Stamped<'a> {
    app: &'a App,
    template: Template,
    tree: Tree,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let file = MeshFile::read(&args.file)?;
    let apps = stamp(context, &file)?;
    let key = publisher::load(context, args.key.as_deref().or(file.mesh.key.as_deref()))?;
    context.block_on(async {
        let asked = signals::listen(true)?;
        let mut reached = reach::reach(context, &args, &file).await?;
        let client = reached.client.clone();
        let deployed = tokio::select! {
            deployed = deploy(context, &file, &apps, &key) => deployed,
            () = asked.clone().times(1) => Err(Failure::new("interrupted").code(Code::Interrupted)),
            lost = reached.lost() => return Err(lost),
        };
        let wants = match deployed {
            Ok(wants) => wants,
            Err(failure) => {
                leave(context, &reached, &asked).await?;
                return Err(failure);
            }
        };
        let failed = tokio::select! {
            failed = settle(context, &client, wants, args.timeout) => failed?,
            () = asked.clone().times(1) => Vec::new(),
            lost = reached.lost() => return Err(lost),
        };
        for failure in &failed {
            context.out.failure(failure, context.verbose);
        }
        if args.detach {
            context.out.line(view::apps(&context.out, &client.status().await?).render())?;
            context.out.note("the mesh goes on; `mesh status` shows it, `mesh down` ends it");
        } else {
            tokio::select! {
                watched = live::watch(context, &client, reached.is_own()) => return Err(watched),
                () = asked.clone().times(1) => {}
                lost = reached.lost() => return Err(lost),
            }
            leave(context, &reached, &asked).await?;
        }
        Ok(failed.first().map_or(Code::Ok, |failure| failure.code))
    })
}

/// Manifest and version of every app; what is odd about the tree is said once.
fn stamp<'a>(context: &Context, file: &'a MeshFile) -> Result<Vec<Stamped<'a>>, Failure> {
    let mut warned = BTreeSet::new();
    let mut stamped = Vec::new();
    for (name, app) in &file.app {
        let (template, tree) = recipe::stamp(file, name, app)?;
        if let Some(warning) = tree.warning().filter(|w| warned.insert(w.clone())) {
            context.out.warn(warning);
        }
        stamped.push(Stamped { app, template, tree });
    }
    Ok(stamped)
}

/// Builds, packs, publishes and plans one after the other, so that the first runs while the next is built.
async fn deploy(
    context: &Context,
    file: &MeshFile,
    apps: &[Stamped<'_>],
    key: &SecretKey,
) -> Result<Vec<Want>, Failure> {
    let operator = Operator::open(context, None)?;
    let scratch =
        tempfile::tempdir().map_err(|e| Failure::new(format_args!("failed to make a folder: {e}")))?;
    let warmup = operator.client().status().await?.warmup_ms;
    let mut wants = Vec::new();
    for Stamped { app, template, tree } in apps {
        let name = template.name();
        let made = recipe::make(context, file, app, (template, tree), key, (scratch.path(), None)).await?;
        let mut wish = bring::send(operator.client(), &made, settings(file, app)).await?;
        wish.settings.bound =
            bind::settings(context, &operator, name, &app.asked(), app.constraints.as_ref()).await?;
        set_budget(&operator, name, app).await?;
        let edit = |at: &PlanAt| Ok(plans::deploy(at, &wish, warmup));
        let said = match operator.change_plan(name, edit).await? {
            Some(_) => "deploying",
            None => "unchanged",
        };
        context.out.note(format_args!("{said} {name} {}", wish.version));
        wants.extend(Want::current(name, &operator.client().plan(name).await?));
    }
    Ok(wants)
}

fn settings(file: &MeshFile, app: &App) -> Settings {
    Settings {
        replicas: app.replicas().ok().flatten(),
        idle: app.idle,
        settle: app.settle,
        size: app.nutrients,
        port: app.port,
        env: app.env.clone(),
        bound: None,
        warmup: app.warmup.or(file.mesh.warmup),
        grace: app.grace,
        constraints: app.constraints.clone(),
        profile: app.profile.clone(),
        reach: app.reach.clone(),
        labels: app.labels.clone(),
        max_failed: app.max_failed,
        canary: app.canary,
        max_unavailable: app.max_unavailable,
    }
}

async fn set_budget(operator: &Operator, name: &AppName, app: &App) -> Result<(), Failure> {
    if let Some(caps) = app.budget {
        let caps = (caps.max_instances, caps.cpu_milli, caps.memory_mb);
        operator.change_budget(name, |at| budget::next(name, at, caps)).await?;
    }
    Ok(())
}

/// Waits until each app is ready or can't be: why not, for those that can't.
async fn settle(
    context: &Context,
    client: &Client,
    mut wants: Vec<Want>,
    timeout: Span,
) -> Result<Vec<Failure>, Failure> {
    let events = rollout::events(client, None).await?;
    tokio::select! {
        settled = rollout::settle(context, client, events, &mut wants) => settled?,
        () = tokio::time::sleep(timeout.0) => {}
    }
    Ok(rollout::ended(wants, timeout).filter_map(Result::err).collect())
}

/// Ends a mesh that was started here; another goes on.
async fn leave(context: &Context, reached: &Reached, asked: &Asked) -> Result<(), Failure> {
    if reached.is_own() {
        return stopping::stop(context, &reached.client, reached.pid(), asked).await;
    }
    context.out.note("the mesh was running before and goes on; `mesh down` ends it");
    Ok(())
}

impl Args {
    /// How a mesh is started for this file.
    fn run_args(&self, file: &MeshFile) -> crate::commands::run::Args {
        let mesh = &file.mesh;
        crate::commands::run::Args::plain(
            self.nodes.or(mesh.nodes),
            self.edge.clone().or_else(|| mesh.edge.clone()),
            mesh.admin.clone(),
            mesh.warmup,
        )
    }
}
