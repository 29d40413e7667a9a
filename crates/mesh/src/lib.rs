//! Mesh: the product, one binary and its command line.
//!
//! The only crate that reads the command line, prints and decides the exit status. A command is a
//! file in `commands`; whatever it does beyond talking to people is done by the organs below, or by
//! the running mesh over its local API. Operators' keys are read here and nowhere else.

pub mod argv;
mod bind;
mod bring;
mod builder;
mod change;
pub mod cli;
mod commands;
mod context;
mod daemon;
pub mod elsewhere;
mod exit;
mod failure;
#[doc(hidden)]
pub mod fuzzing;
mod hints;
pub mod identity;
mod init;
mod listen;
mod logging;
mod meshfile;
mod notify;
mod operator;
mod out;
mod packing;
mod pairs;
mod plans;
mod process;
mod progress;
mod provenance;
mod publisher;
mod ration;
mod recipe;
mod rollout;
mod sbom;
mod sealing;
mod setting;
mod signals;
mod span;
mod stopping;
mod table;
mod target;
mod view;
mod vouch;
mod wish;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches as _;

use crate::cli::Cli;
use crate::context::Context;
use crate::out::{Colour, Out};

pub use cli::reference;

/// Runs one command line and says how it ended.
pub fn main(argv: impl IntoIterator<Item = OsString>) -> ExitCode {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if let [_, keeper, flag, dir] = &argv[..]
        && keeper == "keeper"
        && flag == "--dir"
    {
        // Before anything else: it stays small, and leaves its parent while it has one thread only.
        return membrane::keeper_main(Path::new(dir));
    }
    if let [_, worker] = &argv[..]
        && worker == mycelium::admission::WORKER
    {
        // Nothing of this program's own has to do with what it evaluates.
        return policy::worker();
    }
    if init::is_needed() {
        // Without /proc it can't find itself, and does without.
        match init::run(&argv) {
            Ok(code) => return code,
            Err(error) => drop(error),
        }
    }
    let mut command = cli::command();
    command.build();
    let argv = argv::normalise(&command, argv);
    if argv.get(1).is_some_and(|a| a == "help") && argv.get(2).is_some_and(|a| a == "exit-codes") {
        let shown = Out::new(Colour::Never, false).raw(exit::help().as_bytes());
        return shown.map_or_else(|failure| failure.code.into(), |()| ExitCode::SUCCESS);
    }
    let parsed = command.try_get_matches_from_mut(argv).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that is gone needs no help.
            drop(error.print());
            return if error.use_stderr() { exit::Code::Usage } else { exit::Code::Ok }.into();
        }
    };
    let context = Context::new(cli.global);
    match commands::dispatch(&context, cli.command) {
        Ok(code) => code.into(),
        Err(failure) => {
            context.out.failure(&failure, context.verbose);
            failure.code.into()
        }
    }
}
