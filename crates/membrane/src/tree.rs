//! Process trees: who belongs to a workload, and ending all of them.
//!
//! The keeper is the subreaper of everything it started, so whatever a workload forks, daemons
//! included, is a descendant of its main process or, once parents died, a child of the keeper. Such an
//! orphan is known by the session it is in or by the marker in its environment, which survives
//! everything but an `execve` with a scrubbed one. A process that does both, leaves the session and
//! scrubs its environment, is only found while its parent lives, and when the keeper ends.
//!
//! Trees are stopped until no new member shows up, then killed: a stopped parent forks no more and
//! stays the parent of its children, so that every round sees more, never less.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, Signal};

use crate::procfs;

/// How often a tree that keeps growing is looked at again before it is killed as far as it is known;
/// the rest is found when it is looked at the next time.
const ROUNDS: usize = 32;

/// A process, named for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pub pid: i32,
    started: u64,
}

impl Member {
    /// The living process of this id.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = procfs::stat(pid)?;
        (!stat.zombie).then_some(Self { pid, started: stat.started })
    }

    /// A descriptor of this very process, none when it is gone.
    fn open(self) -> Option<OwnedFd> {
        let fd = rustix::process::pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (Self::of(self.pid)? == self).then_some(fd)
    }

    /// Sends it a signal, and to nobody else who may have its number by now.
    pub fn signal(self, signal: Signal) {
        if let Some(fd) = self.open() {
            let _ = rustix::process::pidfd_send_signal(fd, signal);
        }
    }
}

/// The tree of one workload.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tree<'a> {
    /// The main process, unless it was reaped.
    pub main: Option<i32>,
    /// The session it was started in: its pid.
    pub session: i32,
    /// `NAME=value` in the environment of each of its processes.
    pub marker: &'a [u8],
}

impl Tree<'_> {
    /// Its living members. `orphans` are the keeper's children that are nobody's main process.
    pub fn members(&self, orphans: &[i32]) -> BTreeSet<Member> {
        let mut sessions = BTreeSet::from([self.session]);
        let mut members = BTreeSet::new();
        let mut strangers: Vec<i32> = orphans.to_vec();
        let mut found: Vec<i32> = self.main.into_iter().collect();
        loop {
            strangers.retain(|pid| {
                let Some(stat) = procfs::stat(*pid) else { return false };
                let ours = sessions.contains(&stat.session)
                    || procfs::has_entry(&procfs::environ(*pid), self.marker);
                if ours {
                    found.push(*pid);
                }
                !ours
            });
            if found.is_empty() {
                return members;
            }
            while let Some(pid) = found.pop() {
                found.extend(procfs::children(pid));
                if let Some(member) = Member::of(pid) {
                    sessions.extend(procfs::stat(pid).map(|stat| stat.session));
                    members.insert(member);
                }
            }
        }
    }
}

/// The children of this process that `is_main` does not know.
pub(crate) fn orphans(is_main: impl Fn(i32) -> bool) -> Vec<i32> {
    let mut children = procfs::children(std::process::id().cast_signed());
    children.retain(|pid| !is_main(*pid));
    children
}

/// All living descendants of this process.
pub(crate) fn descendants() -> BTreeSet<Member> {
    let mut found = procfs::children(std::process::id().cast_signed());
    let mut members = BTreeSet::new();
    while let Some(pid) = found.pop() {
        found.extend(procfs::children(pid));
        members.extend(Member::of(pid));
    }
    members
}

/// Ends everything that `find` finds; returns descriptors of what was killed, readable when it is gone.
pub(crate) fn kill(mut find: impl FnMut() -> BTreeSet<Member>) -> Vec<OwnedFd> {
    let mut held = BTreeMap::new();
    for _ in 0..ROUNDS {
        let known = held.len();
        for member in find() {
            if !held.contains_key(&member)
                && let Some(fd) = member.open()
            {
                let _ = rustix::process::pidfd_send_signal(&fd, Signal::STOP);
                held.insert(member, fd);
            }
        }
        if held.len() == known {
            break;
        }
    }
    for fd in held.values() {
        let _ = rustix::process::pidfd_send_signal(fd, Signal::KILL);
    }
    held.into_values().collect()
}
