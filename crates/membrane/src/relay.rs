//! Relay: how a workload in a network of its own reaches what it may, and is reached at its port, where no programs of the
//! kernel's (eBPF) can tell its sockets apart.
//!
//! ```text
//! the machine's network                     │   the room's: `lo`, where all that it may reach is an address of its own
//!   127.0.0.1:PORT  ──▶  inner ─────────────┼──▶  127.0.0.1:PORT, the workload
//!   10.0.0.5:5432   ◀─────────────── outer  │◀──  10.0.0.5:5432, asked for by the workload
//! ```
//! Two processes of one program, executed anew beside each replica and in its group. A socket stays in the network that it
//! was made in, and so does each of the two: the *inner* one lives in the room's, and was given the machine's listening
//! sockets for what comes in; the *outer* one lives in the machine's, and was given the room's for what goes out. So each
//! only ever accepts, and connects to the very address and port that was asked for, in the network that it is in. Nobody
//! can be asked for a socket of the other, and neither can open a file, execute anything, signal or be signalled by the
//! workload, which doesn't see them.
//!
//! They end when the room does, each with the other, and outlive everybody else.
//!
//! | file | holds |
//! |---|---|
//! | `gates` | which sockets it takes, and making them |
//! | `network` | the room's network: `lo` and its routes |
//! | `twin` | how the two come to be, and what they give up |
//! | `serve` | the loop |
//! | `streams` | connections |
//! | `datagrams` | UDP |
//! | `knock` | whether the workload listens yet |

mod datagrams;
mod gates;
mod knock;
mod network;
mod serve;
mod streams;
mod twin;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::MemfdFlags;
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal, WaitOptions};
use serde::{Deserialize, Serialize};

use crate::bpf::Reach;
use crate::launch::{Launch, Program, most_files};
use crate::marker;
pub(crate) use twin::main;

/// Set to have a program be a relay, whatever else it is.
const RELAY: &str = "MESH_KEEPER_RELAY";
/// What a relay says when it serves; anything else is an error text.
const READY: &str = "ready";
/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many descriptors it may have open, if there are as many.
const FILES: u64 = 10_240;
/// The longest that it says when it can't serve.
const MAX_TEXT: u64 = 1024;

/// Whose relay it is to be.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Process 1 of the room.
    pub host: i32,
    /// The room's user, as the machine sees it, where it isn't ours.
    pub user: Option<u32>,
    /// What it may reach.
    pub reach: Reach,
}

/// The relay of a room. Dropped, it is ended.
#[derive(Debug)]
pub(crate) struct Relay {
    pid: Option<Pid>,
}

/// Whether this process is to be one.
pub(crate) fn is_relay() -> bool {
    std::env::var_os(RELAY).is_some()
}

impl Relay {
    /// Starts it, where `launch` is going to start the workload. When this returns, all that may be reached can be.
    pub fn start(order: &Order, launch: &Launch<'_>) -> io::Result<Self> {
        let mut told = File::from(rustix::fs::memfd_create("relay", MemfdFlags::CLOEXEC)?);
        told.write_all(&serde_json::to_vec(order)?)?;
        told.rewind()?;
        let (said, says) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let program = File::open("/proc/self/exe")?;
        let stderr = io::stderr();
        let prefix = marker::VARIABLE.as_bytes();
        let marked = launch.envp.iter().filter(|entry| entry.as_bytes().starts_with(prefix));
        let wanted = CString::new(format!("{RELAY}=1")).map_err(io::Error::other)?;
        let relay = Launch {
            program: Program::Descriptor(program.as_fd()),
            path: c"mesh-relay".into(),
            argv: vec![c"mesh-relay".into(), c"keeper".into(), c"--dir".into(), c"/".into()],
            envp: marked.cloned().chain([wanted]).collect(),
            cwd: c"/".into(),
            stdio: [told.as_fd(), says.as_fd(), stderr.as_fd()],
            skin: None,
            group: launch.group,
            joins: launch.joins,
            open_files: u32::try_from(most_files().min(FILES)).unwrap_or(u32::MAX),
        };
        let started =
            relay.start().map_err(|failed| io::Error::new(failed.error.kind(), failed.to_string()))?;
        let relay = Self { pid: Some(started.pid) };
        drop(says);
        match answer(said)?.as_str() {
            READY => Ok(relay),
            "" => Err(io::Error::other("it ended without a word")),
            text => Err(io::Error::other(text.to_owned())),
        }
    }

    /// Leaves it to whoever keeps its number.
    pub fn keep(mut self) -> Option<Pid> {
        self.pid.take()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

/// All that it says until it says no more.
fn answer(said: OwnedFd) -> io::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let mut text = String::new();
    rustix::io::ioctl_fionbio(&said, true)?;
    let mut said = File::from(said).take(MAX_TEXT);
    loop {
        match said.read_to_string(&mut text) {
            Ok(_) => return Ok(text.trim_end().to_owned()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()));
        let left = left.map_err(io::Error::other)?;
        match rustix::event::poll(&mut [PollFd::new(said.get_ref(), PollFlags::IN)], Some(&left)) {
            Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
