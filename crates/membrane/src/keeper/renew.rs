//! Newer files for a workload that runs, and the signal that tells it.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal};

use super::server::Server;
use super::spawn::MAX_NOTE;
use crate::procfs;
use crate::skin::{Bound, Renewal};
use crate::wire::{Failure, FailureKind, RenewArgs};

impl Server {
    /// Puts files in the place of those that a workload was given, and signals its main process. Nothing has changed for a
    /// workload that doesn't wait for the signal, or that can't be given them.
    pub fn renew(&mut self, args: RenewArgs, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let key = self.key(&args.id)?;
        let refused = |why: &dyn std::fmt::Display| refused(format!("give {} newer files: {why}", args.id));
        let Some(replica) = self.replicas.get_mut(&key).filter(|replica| replica.runs()) else {
            return Err(refused(&"it is about to end, or has"));
        };
        if fds.len() != args.files.len() || args.note.len() > MAX_NOTE {
            return Err(refused(&"descriptors are missing, or too many, or its note is too long"));
        }
        let signal =
            Signal::from_named_raw(args.signal).ok_or_else(|| refused(&"there is no such signal"))?;
        let host = replica.tree.host().and_then(Pid::from_raw).ok_or_else(|| refused(&"it has no room"))?;
        let main = Pid::from_raw(replica.pid).ok_or_else(|| refused(&"it has no process"))?;
        if !procfs::awaits(replica.pid, args.signal) {
            let name = name(signal);
            return Err(refused(&format_args!("it doesn't handle {name}, which would end it or be lost")));
        }
        let named = args.files.iter().cloned().zip(fds);
        let bound = named.map(|(name, content)| Bound { name, content }).collect();
        let renewal = Renewal::plan(bound).map_err(|lack| refused(&lack))?;
        let host = rustix::process::pidfd_open(host, PidfdFlags::empty()).map_err(|error| refused(&error))?;
        renewal.put(host.as_fd()).map_err(|error| refused(&error))?;
        replica.note = args.note;
        // It is our child and not reaped, so the number is its own.
        rustix::process::kill_process(main, signal).map_err(|error| refused(&error))
    }
}

fn name(signal: Signal) -> &'static str {
    match signal {
        Signal::HUP => "SIGHUP",
        Signal::USR1 => "SIGUSR1",
        Signal::USR2 => "SIGUSR2",
        _ => "the signal",
    }
}

fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}
