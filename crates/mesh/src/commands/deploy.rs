//! `mesh deploy`: what runs of an app from now on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use genome::{Constraint, Reach};
use mycelium::api::PlanAt;
use types::AppName;

use crate::change;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;
use crate::operator::Operator;
use crate::pairs::{self, Pair};
use crate::plans::{self, Settings, Wish};
use crate::ration::Ration;
use crate::rollout::Waiting;
use crate::span::Span;
use crate::{bind, bring, packing};

/// Deploy a spore, a digest or a plain binary, and show its rollout.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A .spore file, a digest (or its beginning) in the mesh's repo, or a program
    target: String,
    /// The app it must be
    #[arg(long)]
    app: Option<AppName>,
    /// How many replicas [default: as many as now, or 1]
    #[arg(long, value_name = "N")]
    instances: Option<u32>,
    /// The fewest replicas; with 0 it sleeps while nobody asks for it, and wakes on the next request
    #[arg(long, value_name = "N")]
    min: Option<u32>,
    /// The most replicas, to which demand may raise them
    #[arg(long, value_name = "N")]
    max: Option<u32>,
    /// So long without a request, and it sleeps, if 0 are enough [default: 1m]
    #[arg(long, value_name = "TIME")]
    idle: Option<Span>,
    /// So long must fewer replicas be enough before the others leave [default: 30s]
    #[arg(long, value_name = "TIME")]
    settle: Option<Span>,
    /// How much each replica gets: `auto` for what the mesh learns that it needs, numbers (thousandths of a CPU, MiB), or
    /// `manifest` for what that says [default: as now, or the manifest's]
    #[arg(long, value_name = "auto|manifest|cpu=N,memory=N")]
    nutrients: Option<Ration>,
    /// Listen on this port instead of any free one: one replica a machine
    #[arg(long)]
    port: Option<u16>,
    /// Set a variable over the manifest's; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<Pair>,
    /// How long a new replica is ready before an old one leaves
    #[arg(long, value_name = "TIME")]
    warmup: Option<Span>,
    /// How long a leaving replica may take to finish
    #[arg(long, value_name = "TIME")]
    grace: Option<Span>,
    /// Only on nodes with this label: `zone=a`, one of `zone=a,b`, any but `gpu!=no`; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    constraint: Vec<Pair>,
    /// Confine it by this profile instead of the manifest's: default, strict, one of its nodes' own, or unconfined, which
    /// lets it do what its nodes' users may; `manifest` takes that back
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Let it connect to this besides its node's edge: `tcp:5432`, `tcp:10.0.0.5:5432`, `udp:10.0.0.2:53`; may be given
    /// more than once; `none` takes all back
    #[arg(long, value_name = "PLACE")]
    reach: Vec<String>,
    /// Say something of it that policies may ask for, such as `owner=payments`; all that are given replace those before
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Pair>,
    /// So many nodes may fail before all go back to the release before
    #[arg(long, value_name = "N")]
    max_failed: Option<u32>,
    /// So many replicas take it first; the others once these have been ready for the warm-up. If one of them fails,
    /// all go back
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// So many replicas change at a time, over the whole mesh; 0 is one, ready before the old one leaves
    #[arg(long, value_name = "N")]
    max_unavailable: Option<u32>,
    #[command(flatten)]
    asked: bind::Asked,
    #[command(flatten)]
    program: Program,
    #[command(flatten)]
    waiting: Waiting,
}

/// What is said of a plain program, since it has no manifest.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "For a plain program")]
pub struct Program {
    /// Its name [default: its file's]
    #[arg(long)]
    pub name: Option<AppName>,
    /// A manifest instead of an inferred one
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
    /// A folder that comes with it
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
    /// Its version [default: that of its source tree]
    #[arg(long, value_name = "VERSION")]
    pub tag: Option<String>,
    /// Sign with this key of yours, or key file [default: the development key]
    #[arg(long, value_name = "NAME|FILE")]
    pub key: Option<String>,
    /// What runs it, for a script: python3, node, …
    #[arg(long, value_name = "PROGRAM")]
    pub interpreter: Option<String>,
    /// What it is: service, worker or job
    #[arg(long, value_name = "KIND")]
    pub workload: Option<String>,
    /// Thousandths of a CPU that one replica needs
    #[arg(long, value_name = "N")]
    pub cpu_milli: Option<u64>,
    /// MiB that one replica needs
    #[arg(long, value_name = "N")]
    pub memory_mb: Option<u64>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    let replicas = plans::replicas(args.instances, args.min, args.max).map_err(Failure::usage)?;
    let settings = Settings {
        replicas,
        idle: args.idle,
        settle: args.settle,
        size: args.nutrients,
        port: args.port,
        env: None,
        bound: None,
        warmup: args.warmup,
        grace: args.grace,
        constraints: constraints(&args.constraint)?,
        profile: args.profile.clone(),
        reach: reach(&args.reach)?,
        labels: labels(&args.label)?,
        max_failed: args.max_failed,
        canary: args.canary,
        max_unavailable: args.max_unavailable,
    };
    let client = context.client()?;
    // Before anything is packed: is there a mesh to deploy to?
    let warmup = context.block_on(async { Ok(client.status().await?.warmup_ms) })?;
    let mut wish =
        context.block_on(bring::to_mesh(context, &client, &args.target, &args.program, settings))?;
    check(&args, &wish)?;
    if args.profile.as_deref() == Some("unconfined") {
        context.out.warn(format_args!(
            "{} will run UNCONFINED: it can read, change and reach whatever its nodes' users can",
            wish.app
        ));
    }
    wish.settings.bound = context.block_on(async {
        let operator = Operator::open(context, args.waiting.key())?;
        bind::settings(context, &operator, &wish.app, &args.asked, wish.settings.constraints.as_ref()).await
    })?;
    let unchanged = format!("{} {} is deployed already, nothing to do", wish.app, wish.version);
    change::plan(context, &wish.app, &args.waiting, &unchanged, |at: &PlanAt| {
        Ok(plans::deploy(at, &with_env(&wish, at, &args.env), warmup))
    })
}

/// The places that are asked for, if any are.
fn reach(asked: &[String]) -> Result<Option<Vec<Reach>>, Failure> {
    match asked {
        [] => Ok(None),
        [none] if none == "none" => Ok(Some(Vec::new())),
        places => {
            let read = places.iter().map(|place| place.parse::<Reach>().map_err(Failure::usage));
            read.collect::<Result<Vec<_>, _>>().map(Some)
        }
    }
}

/// The constraints that are asked for, if any are.
fn constraints(asked: &[Pair]) -> Result<Option<BTreeMap<String, String>>, Failure> {
    let map = pairs::map(asked);
    for Pair { name, value } in asked {
        Constraint::of(name, value).validate().map_err(Failure::usage)?;
        if map.get(name) != Some(value) {
            return Err(Failure::usage(format_args!(
                "{name} is asked for twice, as {value} and as {}",
                map[name]
            ))
            .hint(format_args!("to take either, write {name}={value},{}", map[name])));
        }
    }
    Ok((!map.is_empty()).then_some(map))
}

/// The labels that are given, if any are.
fn labels(given: &[Pair]) -> Result<Option<BTreeMap<String, String>>, Failure> {
    given
        .iter()
        .try_for_each(|Pair { name, value }| genome::check_label(name, value).map_err(Failure::usage))?;
    Ok((!given.is_empty()).then(|| pairs::map(given)))
}

fn check(args: &Args, wish: &Wish) -> Result<(), Failure> {
    packing::refuse_latest(&wish.version)?;
    let sleeps = wish.settings.replicas.is_some_and(|(min, max)| min == 0 && max > 0);
    if sleeps && wish.workload == types::Workload::Service && !wish.is_routed {
        return Err(Failure::usage("min: 0, but no request comes through the edge that could wake it")
            .hint("it speaks TCP alone: it needs at least 1"));
    }
    match &args.app {
        Some(app) if *app != wish.app => {
            Err(Failure::usage(format_args!("{} is the app {}, not {app}", args.target, wish.app))
                .hint("an app has the name that its manifest states"))
        }
        _ => Ok(()),
    }
}

/// The wish with these variables set over those of the current plan.
fn with_env(wish: &Wish, at: &PlanAt, variables: &[Pair]) -> Wish {
    let mut wish = wish.clone();
    if !variables.is_empty() {
        let mut env: BTreeMap<String, String> =
            at.plan.as_ref().map(|p| p.release.env.clone()).unwrap_or_default();
        env.extend(pairs::map(variables));
        wish.settings.env = Some(env);
    }
    wish
}

/// Whether `path` is to be packed: any file that isn't a spore.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && path.extension().is_none_or(|e| e != "spore")
}
