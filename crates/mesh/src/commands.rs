//! One command a file: what it takes and what it does.

use crate::cli::Command;
use crate::context::Context;
use crate::exit::Code;
use crate::failure::Failure;

pub mod advise;
pub mod budget;
pub mod build;
pub mod completions;
pub mod config;
pub mod conflicts;
pub mod contexts;
pub mod deploy;
pub mod doctor;
pub mod down;
pub mod env;
pub mod events;
pub mod exec;
pub mod inspect;
pub mod keys;
pub mod logs;
pub mod man;
pub mod net;
pub mod node;
pub mod nodes;
pub mod operators;
pub mod policy;
pub mod profile;
pub mod ps;
pub mod publish;
pub mod quarantine;
pub mod release;
pub mod repo;
pub mod restart;
pub mod rollback;
pub mod root;
pub mod run;
pub mod scale;
pub mod secret;
pub mod status;
pub mod stop;
pub mod ticket;
pub mod top;
pub mod trace;
pub mod trust;
pub mod up;
pub mod upgrade;
pub mod verify;
pub mod version;
pub mod why;

/// Runs one command.
pub fn dispatch(context: &Context, command: Command) -> Result<Code, Failure> {
    match command {
        Command::Up(args) => up::run(context, args),
        Command::Down(args) => down::run(context, args),
        Command::Run(args) => run::run(context, *args),
        Command::Upgrade(args) => upgrade::run(context, args),
        Command::Node(args) => node::run(context, *args),
        Command::Nodes(args) => nodes::run(context, args),
        Command::Ticket(args) => ticket::run(context, args),
        Command::Operator(args) => operators::run(context, args),
        Command::Root(args) => root::run(context, args),
        Command::Net(args) => net::run(context, args),
        Command::Conflicts(args) => conflicts::run(context, args),
        Command::Quarantine(args) => quarantine::run(context, args),
        Command::Context(args) => contexts::run(context, args),
        Command::Build(args) => build::run(context, args),
        Command::Inspect(args) => inspect::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Publish(args) => publish::run(context, args),
        Command::Release(args) => release::run(context, args),
        Command::Repo(args) => repo::run(context, args),
        Command::Keys(args) => keys::run(context, args),
        Command::Profile(args) => profile::run(context, args),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Trust(args) => trust::run(context, args),
        Command::Policy(args) => policy::run(context, args),
        Command::Deploy(args) => deploy::run(context, *args),
        Command::Rollback(args) => rollback::run(context, args),
        Command::Scale(args) => scale::run(context, args),
        Command::Stop(args) => stop::run(context, args),
        Command::Restart(args) => restart::run(context, args),
        Command::Env(args) => env::run(context, args),
        Command::Secret(args) => secret::run(context, args),
        Command::Config(args) => config::run(context, args),
        Command::Budget(args) => budget::run(context, args),
        Command::Exec(args) => exec::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Ps(args) => ps::run(context, args),
        Command::Logs(args) => logs::run(context, args),
        Command::Events(args) => events::run(context, args),
        Command::Top(args) => top::run(context, &args),
        Command::Trace(args) => trace::run(context, args),
        Command::Why(args) => why::run(context, args),
        Command::Advise(args) => advise::run(context, args),
        Command::Completions(args) => completions::run(context, args),
        Command::Man(args) => man::run(context, args),
        Command::Version(args) => version::run(context, args),
    }
}
