//! The keeper process: parent of all workloads, with a life of its own.
//!
//! One thread, one epoll, no runtime, no allocation per replica but its own record. It does what it is
//! told (spawn, stop, kill, forget, keep sockets), copies output into logs and reports exits; it decides
//! nothing, opens no network socket, and ends when there is nothing left to keep and nobody is connected.
//!
//! | file | holds |
//! |---|---|
//! | `detach` | leaving the terminal and the parent |
//! | `server` | the loop: what is waited for, and who takes care of it |
//! | `replica` | one workload: its state and its way to the end |
//! | `spawn` | starting one |
//! | `budget` | what one may use |
//! | `ahead` | the group of the next one |
//! | `pace` | how fast its output is read |
//! | `settle` | reaping, deadlines, trees that must end |
//! | `reach`, `relayed` | what one reaches: by programs at its group, or by a relay |
//! | `client`, `calls` | connections, and what is asked over them |
//! | `upgrade` | becoming a newer program without losing anything |

mod ahead;
mod budget;
mod calls;
mod client;
mod detach;
mod pace;
mod reach;
mod relayed;
mod renew;
mod replica;
mod server;
mod settle;
mod spawn;
mod upgrade;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit};

use crate::cgroup::Cgroups;
use crate::home::Home;
use crate::{relay, strays, wire};
use server::Server;
pub(crate) use upgrade::{CHECK, CHECKED};

/// How long a keeper that is about to end is waited for.
const HOLDER_PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };
/// What a workload gets to end by itself when the keeper is told to end by a signal.
const SIGNALLED_GRACE: Duration = Duration::from_secs(10);

/// The body of `mesh keeper --dir DIR`. To be called first in `main`, before any thread is made.
///
/// It leaves the terminal and its parent (unless it is process 1, which it may be), takes the folder's
/// lock, ends strays of a killed predecessor, opens its socket, and then writes one line to standard
/// output: `ready`, or what went wrong. From there on standard output is closed and standard error is
/// `keeper.log` in the folder.
#[must_use]
pub fn keeper_main(dir: &Path) -> ExitCode {
    if relay::is_relay() {
        return relay::main();
    }
    if upgrade::is_check() {
        detach::say_out(upgrade::CHECKED);
        return ExitCode::SUCCESS;
    }
    let server = match upgrade::inherited() {
        Some(state) => upgrade::resume(dir, state),
        None => match detach::leave_parent() {
            Ok(true) => return ExitCode::SUCCESS,
            Ok(false) => start(dir),
            Err(error) => Err(error),
        },
    };
    let result = server.and_then(Server::run);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            detach::say_out(&error.to_string());
            detach::say(&format!("the keeper ends: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn start(dir: &Path) -> io::Result<Server> {
    let home = Home::open(dir)?;
    let lock = match home.lock() {
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
            await_end(home.holder());
            home.lock()
        }
        other => other,
    }?;
    detach::leave_terminal(&home)?;
    let unique = home.unique()?;
    let ended = strays::end(&unique)?;
    prepare()?;
    let cgroups = Cgroups::prepare(&unique, &home.cgroups());
    let listener = home.listen()?;
    let server = Server::new(home, lock, unique, listener, cgroups)?;
    detach::say(&format!("keeper {} of {} is ready", std::process::id(), server.home.dir().display()));
    if ended > 0 {
        detach::say(&format!("{ended} processes without a keeper were ended"));
    }
    detach::say_out(wire::READY);
    detach::close_stdout()?;
    Ok(server)
}

/// What any keeper process needs, a resumed one included.
fn prepare() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // three descriptors a replica; each workload gets a limit of its own
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    Ok(())
}

/// A keeper that was told to end may hold the lock for another moment.
fn await_end(holder: Option<i32>) {
    if let Some(pid) = holder.and_then(Pid::from_raw)
        && let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty())
    {
        let _ = rustix::event::poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&HOLDER_PATIENCE));
    }
}
