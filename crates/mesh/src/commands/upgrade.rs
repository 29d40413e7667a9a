//! `mesh upgrade`: this binary takes over from the running one. No request fails, no replica is touched.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use clap::FromArgMatches as _;

use super::run;
use crate::argv;
use crate::cli::{self, Cli, Command, VERSION};
use crate::context::Context;
use crate::daemon::{self, Daemon};
use crate::exit::Code;
use crate::failure::Failure;
use crate::process::Process;
use crate::progress::Step;

/// Replace the running mesh by this binary without failing a request.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(context: &Context, _: Args) -> Result<Code, Failure> {
    let paths = context.paths()?;
    let client = context.client()?;
    context.block_on(async {
        let old = client.version().await?;
        let process = Process::of(old.pid)?;
        let (mut how, folder) = running(old.pid)?;
        how.serving().takeover = true;
        let step = Step::start(&context.out, &format!("taking over from process {}", old.pid));
        let line = how.detached(&paths, context.state_flag());
        let mut new = Daemon::start(&paths, &line, Some(&folder))?;
        let pid = new.pid()?;
        let url = new.ready().await?;
        step.now("waiting for the last requests of the old one");
        process.ended().await;
        step.done(&format!("upgraded {} to {VERSION}", old.version));
        context.out.note(format_args!(
            "process {pid} serves {url}; its log is {}",
            daemon::log_file(&paths).display()
        ));
        Ok(Code::Ok)
    })
}

/// What runs.
enum How {
    Run(run::Args),
    Node(run::Serving),
}

impl How {
    fn serving(&mut self) -> &mut run::Serving {
        match self {
            Self::Run(args) => &mut args.serving,
            Self::Node(serving) => serving,
        }
    }

    fn detached(&self, paths: &mycelium::Paths, state: Option<&std::path::Path>) -> Vec<OsString> {
        match self {
            Self::Run(args) => args.detached(paths, state),
            Self::Node(serving) => serving.detached(&["node", "run"], paths, state),
        }
    }
}

/// What the running mesh was started with, and in which folder.
fn running(pid: u32) -> Result<(How, PathBuf), Failure> {
    let failed =
        |e: std::io::Error| Failure::new(format_args!("failed to read how process {pid} was started: {e}"));
    let line = fs::read(format!("/proc/{pid}/cmdline")).map_err(failed)?;
    let folder = fs::read_link(format!("/proc/{pid}/cwd")).map_err(failed)?;
    let words = line.split(|b| *b == 0).filter(|word| !word.is_empty());
    let mut command = cli::command();
    command.build();
    let words = argv::normalise(&command, words.map(|word| OsString::from_vec(word.to_vec())));
    let parsed = command.try_get_matches_from_mut(words).and_then(|m| Cli::from_arg_matches(&m));
    let other = || {
        Failure::new(format_args!("process {pid} was started neither as `mesh run` nor as `mesh node run`"))
            .hint("end it with `mesh down` and start it again; its plans are kept")
    };
    match parsed.map(|cli| cli.command) {
        Ok(Command::Run(args)) => Ok((How::Run(*args), folder)),
        Ok(Command::Node(args)) => match args.into_serving() {
            Some(serving) => Ok((How::Node(serving), folder)),
            None => Err(other()),
        },
        Ok(_) | Err(_) => Err(other()),
    }
}
