//! `mesh run`: the mesh on this machine, in the foreground.
//!
//! It never reads an operator's key: the first start has one made by another process and takes its public half;
//! what is to be deployed at the start is signed and submitted by another process as well.

mod first;
mod seed;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::Parser as _;
use mycelium::{App, Config, Outcome, StartError, Tls};
use tokio::task::JoinSet;
use types::AppName;

use crate::cli::VERSION;
use crate::context::Context;
use crate::daemon::program;
use crate::exit::Code;
use crate::failure::Failure;
use crate::listen::Listen;
use crate::logging::{self, Format};
use crate::signals;
use crate::span::Span;

/// Run the mesh in the foreground.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many agents; each is a node of the mesh
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub nodes: u32,
    /// Where HTTP comes in; `:8080` listens on every address, port 0 takes a free one; may be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub edge: Vec<Listen>,
    /// Where metrics are served, as Prometheus text at /metrics
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<Listen>,
    /// Another repo than the one in the state folder
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Deploy this spore of the repo once the mesh serves
    #[arg(long, requires = "app")]
    pub digest: Option<String>,
    /// The app that it must be
    #[arg(long, requires = "digest")]
    pub app: Option<AppName>,
    /// How many replicas of it
    #[arg(long, value_name = "N", requires = "digest")]
    pub instances: Option<u32>,
    /// How long a new replica is ready before an old one leaves, unless its plan says otherwise
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub warmup: Span,
    /// Speak TLS with this certificate chain (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Speak TLS with a self-made certificate for localhost
    #[arg(long, conflicts_with = "tls_cert")]
    pub tls: bool,
    /// How the log is written
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    pub log: Format,
    /// Write the log to this file, bounded, instead of stderr
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Threads of the edge [default: one a core]
    #[arg(long, value_name = "N")]
    pub edge_workers: Option<usize>,
    /// Take over from the mesh that runs in this state (see `mesh upgrade`)
    #[arg(long, hide = true)]
    pub takeover: bool,
    /// Go on when the terminal goes away
    #[arg(long, hide = true)]
    pub detached: bool,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    logging::start(args.log, args.log_file.as_deref(), context.out.colours_stderr())?;
    let config = configure(context, &args)?;
    if let Some(digest) = &args.digest {
        seed::check(&config, digest)?;
    }
    first::start(context, &config.paths)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format_args!("failed to start the runtime: {e}")))?;
    let ended = runtime.block_on(serve(config, &args));
    // What still blocks (a reader of a log, a write that no one waits for) must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// Serves until it is asked to end, by a signal or over its API.
async fn serve(mut config: Config, args: &Args) -> Result<Code, Failure> {
    let asked = signals::listen(!args.detached)?;
    let mut seed = None;
    let mut left = JoinSet::new();
    let mut first = true;
    let (ended, impatience) = loop {
        let app = match App::start(config.clone()).await {
            Ok(app) => app,
            // Another was started while this one waited for a successor that was dead already.
            Err(StartError::Running { .. }) if !first => {
                tracing::info!("another mesh has the state: this one finishes its requests");
                break (Ok(Code::Ok), 1);
            }
            Err(error) => break (Err(error.into()), 1),
        };
        tracing::info!(url = app.edge_url(), nodes = config.nodes, version = VERSION, "the mesh serves");
        if std::mem::take(&mut first) {
            announce(app.edge_url());
            seed = args.digest.as_ref().map(|digest| seed::start(&config, args, digest)).transpose()?;
        }
        let (until, hurry) = (asked.clone().times(1), asked.clone().times(2));
        match app.run(until, hurry).await? {
            Outcome::Stopped => {
                tracing::info!("the mesh has stopped");
                // What they ask for is gone.
                left.abort_all();
                break (Ok(Code::Ok), 2);
            }
            Outcome::HandedOver => {
                tracing::info!("handed over to the mesh that runs now");
                break (Ok(Code::Ok), 2);
            }
            Outcome::Abandoned(remains) => {
                config.takeover = false;
                left.spawn(remains.finish());
            }
        }
    };
    // Requests that were open when a successor came and died are as good as any other.
    tokio::select! {
        () = async { while left.join_next().await.is_some() {} } => {}
        () = asked.times(impatience) => {}
    }
    drop(seed);
    ended
}

/// One line on stdout, for whoever waits for it: the edge's URL.
fn announce(url: &str) {
    let mut stdout = io::stdout().lock();
    // Nobody has to listen.
    drop(writeln!(stdout, "{url}").and_then(|()| stdout.flush()));
}

fn configure(context: &Context, args: &Args) -> Result<Config, Failure> {
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Tls::Files { certificate: certificate.clone(), key: key.clone() },
        _ if args.tls => Tls::Development,
        _ => Tls::Off,
    };
    let text = |value: OsString| value.into_string().ok();
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
    Ok(Config {
        paths: context.paths()?,
        nodes: args.nodes,
        edge: args.edge.iter().map(|listen| listen.0).collect(),
        admin: args.admin.as_ref().map(|listen| listen.0),
        tls,
        repo: args.repo.clone(),
        program: program()?,
        warmup: args.warmup.0,
        version: VERSION.to_owned(),
        takeover: args.takeover,
        environment: environment.collect(),
        edge_workers: args.edge_workers,
    })
}

impl Args {
    /// A mesh with everything else at its default.
    pub fn plain(
        nodes: Option<u32>,
        edge: Option<Listen>,
        admin: Option<Listen>,
        warmup: Option<Span>,
    ) -> Self {
        let defaults = Defaults::parse_from(["run"]).args;
        Self {
            nodes: nodes.unwrap_or(defaults.nodes),
            edge: edge.map_or(defaults.edge, |edge| vec![edge]),
            admin,
            warmup: warmup.unwrap_or(defaults.warmup),
            ..defaults
        }
    }

    /// The command line of a mesh that runs by itself: without what is deployed at the start.
    pub fn detached(&self, paths: &mycelium::Paths, state: Option<&std::path::Path>) -> Vec<OsString> {
        let mut line = Line(Vec::new());
        if state.is_some() {
            line.flag("--state", &paths.state);
        }
        line.0.push("run".into());
        line.flag("--nodes", self.nodes.to_string());
        for edge in &self.edge {
            line.flag("--edge", edge.to_string());
        }
        line.maybe("--admin", self.admin.as_ref().map(ToString::to_string));
        line.maybe("--repo", self.repo.as_ref());
        line.flag("--warmup", format!("{}ms", self.warmup.millis()));
        line.maybe("--tls-cert", self.tls_cert.as_ref());
        line.maybe("--tls-key", self.tls_key.as_ref());
        line.maybe("--edge-workers", self.edge_workers.map(|n| n.to_string()));
        if self.tls {
            line.0.push("--tls".into());
        }
        if self.log == Format::Json {
            line.flag("--log", "json");
        }
        line.flag("--log-file", crate::daemon::log_file(paths));
        if self.takeover {
            line.0.push("--takeover".into());
        }
        line.0.push("--detached".into());
        line.0
    }
}

/// The flags alone: what they are when none is given.
#[derive(clap::Parser)]
struct Defaults {
    #[command(flatten)]
    args: Args,
}

/// A command line that is put together.
struct Line(Vec<OsString>);

impl Line {
    fn flag(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }

    fn maybe(&mut self, name: &str, value: Option<impl Into<OsString>>) {
        if let Some(value) = value {
            self.flag(name, value);
        }
    }
}
