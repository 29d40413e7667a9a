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
use crate::notify;
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
        not_in_a_container(old.pid)?;
        not_past_the_service_manager(old.pid)?;
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

/// A container ends with what it was started for, whoever takes over from that.
fn not_in_a_container(pid: u32) -> Result<(), Failure> {
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    if program(1).is_some() && program(1) == program(pid) {
        return Err(Failure::new(
            "the mesh is what this container was started for, and the container would end with it",
        )
        .hint("start a container of the new image in its place"));
    }
    Ok(())
}

/// A service manager has to know the successor for the service, which it does when it is asked to reload that.
fn not_past_the_service_manager(pid: u32) -> Result<(), Failure> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let awaits = environment.split(|b| *b == 0).any(|entry| entry.starts_with(b"NOTIFY_SOCKET="));
    if !awaits || std::env::var_os(notify::SOCKET).is_some() {
        return Ok(());
    }
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let unit =
        groups.lines().filter_map(|group| group.rsplit('/').next()).find(|name| name.ends_with(".service"));
    Err(Failure::new(
        "the mesh is a service of a service manager, which would take its end for the service's",
    )
    .hint(format_args!("`systemctl reload {}` does the same by its knowledge", unit.unwrap_or("UNIT"))))
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
