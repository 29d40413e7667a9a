//! The command line: which commands there are and what they take. What they do stands in `commands`.

use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::commands as c;
use crate::out::Colour;

mod reference;

pub use reference::reference;

/// The identity of this binary, `v{semver}-{7-digit sha}`.
pub const VERSION: &str = env!("MESH_VERSION");

/// How wide help text is at most.
const WIDTH: usize = 100;

/// Runs signed programs as supervised processes on one machine or many, and routes HTTP to them.
///
/// A program and its manifest are packed into a signed spore, published to a repo by its SHA-256, and deployed:
/// agents verify it, run it as a plain process, check its health and route `/{app}/...` to it.
/// `mesh up` does all of that for what a `mesh.toml` describes.
#[derive(Debug, Parser)]
#[command(name = "mesh", version = VERSION, max_term_width = WIDTH, arg_required_else_help = true)]
#[command(after_help = AFTER_HELP)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "Long flags may be written with one dash (-nodes 3). \
`mesh help exit-codes` lists what the exit status means.";

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Keep everything (state, keys, trust) in this folder instead of the XDG ones [env: MESH_STATE]
    #[arg(long, global = true, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Speak to the mesh of this name elsewhere (see `mesh context`), not to the one of this machine
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Show more: causes of errors, output of build commands
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Show data, warnings and errors only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to colour; NO_COLOR is honoured
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    pub color: Colour,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build, pack, publish and run everything a mesh.toml describes, and watch it
    Up(c::up::Args),
    /// Stop the mesh of this state, whatever is left of it
    Down(c::down::Args),
    /// Run the mesh in the foreground
    Run(Box<c::run::Args>),
    /// Replace the running mesh by this binary without failing a request
    Upgrade(c::upgrade::Args),

    /// Make this machine a node of a mesh of many, run it, and say what nodes are for
    Node(Box<c::node::Args>),
    /// Show every node of the mesh
    Nodes(c::nodes::Args),
    /// Let machines in
    Ticket(c::ticket::Args),
    /// Say whose plans are obeyed
    Operator(c::operators::Args),
    /// Show the mesh's root, and replace it
    Root(c::root::Args),
    /// Look into the links between nodes
    Net(c::net::Args),
    /// Show and settle what was written on two sides of a cut
    Conflicts(c::conflicts::Args),
    /// Show and release the records that this node ended over
    Quarantine(c::quarantine::Args),
    /// Name meshes elsewhere, for --context
    Context(c::contexts::Args),

    /// Pack a binary and its manifest into a signed spore
    Build(c::build::Args),
    /// Show what a spore is and who signed it
    Inspect(c::inspect::Args),
    /// Check every byte of a spore, its signature, and whether its publisher is trusted
    Verify(c::verify::Args),
    /// Store spores in the repo and print their digests
    Publish(c::publish::Args),
    /// Build and pack what a mesh.toml describes with its immutable version, and publish it
    Release(c::release::Args),
    /// Look into the repo and tidy it
    Repo(c::repo::Args),
    /// Make and show signing keys
    Keys(c::keys::Args),
    /// Say whose spores may run here
    Trust(c::trust::Args),
    /// Show what workloads are confined to
    Profile(c::profile::Args),
    /// Say what must hold before a spore may start, in Rego
    Policy(c::policy::Args),

    /// Deploy a spore, a digest or a plain binary, and show its rollout
    Deploy(Box<c::deploy::Args>),
    /// Go back to the release before, or to a given version
    Rollback(c::rollback::Args),
    /// Change how many replicas an app has
    Scale(c::scale::Args),
    /// Stop an app
    Stop(c::stop::Args),
    /// Start an app's replicas anew, one by one
    Restart(c::restart::Args),
    /// Change an app's environment without repacking it
    Env(c::env::Args),
    /// Keep values for replicas that only the nodes that may run them can open
    Secret(c::secret::Args),
    /// Keep texts for replicas, which everybody in the mesh may read
    Config(c::config::Args),
    /// Cap what an app may hold
    Budget(c::budget::Args),
    /// Run a command in the place of a replica
    Exec(c::exec::Args),

    /// Show the mesh, its nodes and its apps
    Status(c::status::Args),
    /// Show every replica
    Ps(c::ps::Args),
    /// Show what replicas wrote
    Logs(c::logs::Args),
    /// Show what happened
    Events(c::events::Args),
    /// Show what replicas use, live
    Top(c::top::Args),
    /// Show what replicas do: programs, connections, refusals
    Trace(c::trace::Args),
    /// Say why an app is as it is
    Why(c::why::Args),
    /// Say how much an app's replicas need, and on what that is based
    Advise(c::advise::Args),
    /// Show what this machine can confine workloads with
    Doctor(c::doctor::Args),

    /// Print the completions of a shell
    Completions(c::completions::Args),
    /// Print the manual, or write all its pages
    Man(c::man::Args),
    /// Print the version of this binary and of the running mesh
    Version(c::version::Args),
}

/// The definitions, for parsing, completions, manuals and the reference.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
