//! Other processes by their number: waiting for their end, and telling them to.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, Signal, getrlimit, pidfd_open, pidfd_send_signal, setrlimit,
};
use tokio::sync::watch;

use crate::failure::Failure;

/// A process that may not be ours, held so that its number can't be given to another.
pub struct Process {
    pid: u32,
    /// None when it had ended already.
    handle: Option<Arc<OwnedFd>>,
    ended: watch::Receiver<bool>,
}

impl Process {
    /// Takes hold of a process.
    pub fn of(pid: u32) -> Result<Self, Failure> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or_else(|| Failure::new(format_args!("{pid} is no process")))?;
        let (sender, ended) = watch::channel(false);
        let handle = match pidfd_open(number, PidfdFlags::empty()) {
            Ok(fd) => Some(Arc::new(fd)),
            Err(rustix::io::Errno::SRCH) => None,
            Err(e) => return Err(Failure::new(format_args!("failed to watch process {pid}: {e}"))),
        };
        let watched = handle.clone();
        // It ends with the process, or with ours: nobody waits for it.
        std::thread::spawn(move || {
            if let Some(fd) = watched {
                wait(&fd);
            }
            sender.send_replace(true);
        });
        Ok(Self { pid, handle, ended })
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Resolves when it has ended.
    pub async fn ended(&self) {
        // The sender goes only after it has said so.
        drop(self.ended.clone().wait_for(|ended| *ended).await);
    }

    /// Asks it to end.
    pub fn ask(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to hurry: a mesh counts the two as two.
    pub fn hurry(&self) {
        self.signal(Signal::TERM);
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(handle) = &self.handle {
            // It may have ended meanwhile, which is what was wanted.
            let _ = pidfd_send_signal(handle.as_ref(), signal);
        }
    }
}

/// Keeps this process, and what it starts, from leaving a core: secrets are in its memory for a moment. With a limit
/// of one byte no file is written, and no program is given one either, which with 0 it would be (core(5)).
pub fn no_core() {
    let limit = getrlimit(Resource::Core);
    // A limit that can't be set is lower already.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(1), ..limit });
}

/// Blocks until the process ends, which makes its handle readable.
fn wait(handle: &OwnedFd) {
    let interrupted = |result| result == Err(rustix::io::Errno::INTR);
    while interrupted(poll(&mut [PollFd::new(handle, PollFlags::IN)], None)) {}
}
