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
use mycelium::member::NodeFile;
use mycelium::{App, Config, Otlp, Outcome, StartError, Tls};
use tokio::task::JoinSet;
use types::AppName;

use crate::cli::VERSION;
use crate::context::Context;
use crate::daemon::program;
use crate::exit::Code;
use crate::failure::Failure;
use crate::listen::Listen;
use crate::logging::{self, Format};
use crate::notify;
use crate::pairs::{self, Pair};
use crate::signals;
use crate::span::Span;

/// Run the mesh in the foreground.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many agents; each is a node of the mesh
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub nodes: u32,
    /// Deploy this spore of the repo once the mesh serves
    #[arg(long, requires = "app")]
    pub digest: Option<String>,
    /// The app that it must be
    #[arg(long, requires = "digest")]
    pub app: Option<AppName>,
    /// How many replicas of it
    #[arg(long, value_name = "N", requires = "digest")]
    pub instances: Option<u32>,
    /// How it serves.
    #[command(flatten)]
    pub serving: Serving,
}

/// How a mesh serves, be it on one machine or on many.
#[derive(Debug, Clone, clap::Args)]
pub struct Serving {
    /// Where HTTP comes in; `:8080` listens on every address, port 0 takes a free one; may be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub edge: Vec<Listen>,
    /// Where metrics are served, as Prometheus text at /metrics
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<Listen>,
    /// Tell this OpenTelemetry collector of requests, metrics and logs, such as http://127.0.0.1:4317 (see docs/observability.md)
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide_env_values = true)]
    pub otlp_endpoint: Option<String>,
    /// Another repo than the one in the state folder
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
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
    /// On SIGTERM leave the workloads running, for the next start to take up
    #[arg(long)]
    pub keep_workloads: bool,
    /// Take over from the mesh that runs in this state (see `mesh upgrade`)
    #[arg(long, hide = true)]
    pub takeover: bool,
    /// How long a part of this process may hold on before it is ended
    #[arg(long, value_name = "TIME", default_value = "10s", hide = true)]
    pub watchdog: Span,
    /// So long must replicas have been seen, all together, before their size is learned
    #[arg(long, value_name = "TIME", default_value = "30m", hide = true)]
    pub learning: Span,
    /// Go on when the terminal goes away
    #[arg(long, hide = true)]
    pub detached: bool,
    /// Say this of the machine, for plans that ask for it, and `zone=…` for apps to spread over; may be given more than once
    #[arg(long, value_name = "NAME=VALUE")]
    pub label: Vec<Pair>,
}

/// Runs it.
pub fn run(context: &Context, args: Args) -> Result<Code, Failure> {
    args.serving.start_log(context)?;
    if let Some(node) = NodeFile::load(&context.paths()?)? {
        return Err(Failure::usage(format_args!("this machine is the node {} of a mesh of many", node.name))
            .hint("run it with `mesh node run`, or a mesh of its own with --state DIR"));
    }
    let config = args.serving.configure(context, args.nodes, None)?;
    if let Some(digest) = &args.digest {
        seed::check(&config, digest)?;
    }
    first::start(context, &config.paths)?;
    let seed = args.digest.is_some().then(|| args.clone());
    serve(config, args.serving, seed)
}

/// Serves until it is asked to end.
pub fn serve(config: Config, serving: Serving, seed: Option<Args>) -> Result<Code, Failure> {
    crate::process::no_core();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Failure::new(format_args!("failed to start the runtime: {e}")))?;
    let ended = runtime.block_on(until_asked(config, &serving, seed));
    // What still blocks (a reader of a log, a write that no one waits for) must not hold up the end.
    runtime.shutdown_background();
    ended
}

/// Serves until it is asked to end, by a signal or over its API.
async fn until_asked(
    mut config: Config,
    serving: &Serving,
    to_deploy: Option<Args>,
) -> Result<Code, Failure> {
    let asked = signals::listen(!serving.detached)?;
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
            seed = to_deploy.as_ref().map(|args| seed::start(&config, args)).transpose()?;
        }
        notify::ready();
        let (until, hurry) = (asked.clone().times(1), asked.clone().times(2));
        match app.run(until, hurry).await? {
            Outcome::Stopped => {
                tracing::info!("the mesh has stopped");
                // What they ask for is gone.
                left.abort_all();
                break (Ok(Code::Ok), 2);
            }
            Outcome::Left => {
                tracing::info!("this process ends; the workloads run on");
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

impl Serving {
    /// From now on the log is written as asked for.
    pub fn start_log(&self, context: &Context) -> Result<(), Failure> {
        logging::start(self.log, self.log_file.as_deref(), context.out.colours_stderr())
    }

    /// The set-up of a mesh that serves so.
    pub fn configure(
        &self,
        context: &Context,
        nodes: u32,
        member: Option<NodeFile>,
    ) -> Result<Config, Failure> {
        for Pair { name, value } in &self.label {
            genome::check_label(name, value).map_err(Failure::usage)?;
        }
        let tls = match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => {
                Tls::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ if self.tls => Tls::Development,
            _ => Tls::Off,
        };
        let otlp = Otlp::read(self.otlp_endpoint.as_deref(), |name| std::env::var(name).ok());
        let otlp = otlp.map_err(|error| Failure::usage(format_args!("failed to {error}")))?;
        let text = |value: OsString| value.into_string().ok();
        let environment = std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
        // Only we speak for the service.
        let environment = environment.filter(|(name, _)| name != notify::SOCKET);
        Ok(Config {
            paths: context.paths()?,
            nodes,
            member,
            labels: pairs::map(&self.label),
            keep_workloads: self.keep_workloads,
            edge: self.edge.iter().map(|listen| listen.0).collect(),
            admin: self.admin.as_ref().map(|listen| listen.0),
            tls,
            repo: self.repo.clone(),
            program: program()?,
            warmup: self.warmup.0,
            version: VERSION.to_owned(),
            takeover: self.takeover,
            environment: environment.collect(),
            edge_workers: self.edge_workers,
            patience: self.watchdog.0,
            learning: self.learning.0,
            otlp,
        })
    }

    /// The flags, for a process of its own.
    fn flags(&self, line: &mut Line) {
        for edge in &self.edge {
            line.flag("--edge", edge.to_string());
        }
        line.maybe("--admin", self.admin.as_ref().map(ToString::to_string));
        line.maybe("--otlp-endpoint", self.otlp_endpoint.as_ref());
        line.maybe("--repo", self.repo.as_ref());
        line.flag("--warmup", format!("{}ms", self.warmup.millis()));
        line.maybe("--tls-cert", self.tls_cert.as_ref());
        line.maybe("--tls-key", self.tls_key.as_ref());
        line.maybe("--edge-workers", self.edge_workers.map(|n| n.to_string()));
        line.flag("--learning", format!("{}ms", self.learning.millis()));
        line.flag("--watchdog", format!("{}ms", self.watchdog.millis()));
        if self.tls {
            line.0.push("--tls".into());
        }
        for label in &self.label {
            line.flag("--label", format!("{}={}", label.name, label.value));
        }
        if self.keep_workloads {
            line.0.push("--keep-workloads".into());
        }
        if self.log == Format::Json {
            line.flag("--log", "json");
        }
    }

    /// The command line of a process that goes on by itself: `command` with these flags.
    pub fn detached(
        &self,
        command: &[&str],
        paths: &mycelium::Paths,
        state: Option<&std::path::Path>,
    ) -> Vec<OsString> {
        let mut line = Line(Vec::new());
        if state.is_some() {
            line.flag("--state", &paths.state);
        }
        line.0.extend(command.iter().map(OsString::from));
        self.flags(&mut line);
        line.flag("--log-file", crate::daemon::log_file(paths));
        if self.takeover {
            line.0.push("--takeover".into());
        }
        line.0.push("--detached".into());
        line.0
    }
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
        let serving = Serving {
            edge: edge.map_or(defaults.serving.edge, |edge| vec![edge]),
            admin,
            warmup: warmup.unwrap_or(defaults.serving.warmup),
            ..defaults.serving
        };
        Self { nodes: nodes.unwrap_or(defaults.nodes), serving, ..defaults }
    }

    /// The command line of a mesh that runs by itself: without what is deployed at the start.
    pub fn detached(&self, paths: &mycelium::Paths, state: Option<&std::path::Path>) -> Vec<OsString> {
        self.serving.detached(&["run", "--nodes", &self.nodes.to_string()], paths, state)
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
