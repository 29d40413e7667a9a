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
    pub fn open(self) -> Option<OwnedFd> {
        let fd = rustix::process::pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (Self::of(self.pid)? == self).then_some(fd)
    }
}

/// The tree of one workload, and what was learned of it.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Process 1 of its room, until it is reaped: the kernel ends everybody in the room with it.
    host: Option<i32>,
    /// Whether it was started in a room: then nobody of it is outside.
    room: bool,
    /// `NAME=value` in the environment of each of its processes.
    marker: String,
    /// The sessions its processes were seen in; the first is that of the main process.
    sessions: BTreeSet<i32>,
    /// Those that were killed: they count until they are gone.
    killed: BTreeSet<Member>,
}

/// What a look at a tree has shown.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// The living.
    pub members: BTreeSet<Member>,
    /// Somebody is just executing a program and can't be told from a stranger yet: look again.
    pub unclear: bool,
}

impl Tree {
    /// The tree below the main process `main`, which was started in a session of its own, perhaps in a room.
    pub fn new(main: i32, host: Option<i32>, marker: String) -> Self {
        Self { host, room: host.is_some(), marker, sessions: BTreeSet::from([main]), killed: BTreeSet::new() }
    }

    /// Process 1 of its room, unless it was reaped.
    pub fn host(&self) -> Option<i32> {
        self.host
    }

    /// Ends its room with all that are in it; false where it has none, or none any more.
    pub fn close(&self) -> bool {
        if let Some(host) = self.host.and_then(Pid::from_raw) {
            // not reaped, so the number is still its own
            let _ = rustix::process::kill_process(host, Signal::KILL);
        }
        self.host.is_some()
    }

    /// Its room has ended.
    pub fn closed(&mut self) {
        self.host = None;
    }

    /// Whether nobody of it can be left: its room has ended, and nobody of a room is outside.
    pub fn is_over(&self) -> bool {
        self.room && self.host.is_none()
    }

    /// Its living members. `main` is the main process unless it was reaped, `orphans` lists the keeper's
    /// children that are nobody's main process.
    pub fn look(&mut self, main: Option<i32>, orphans: impl Fn() -> Vec<i32>) -> Sight {
        let room = self.room;
        // Who loses its parent in a room becomes a child of the room's process 1.
        let orphans = || if room { Vec::new() } else { orphans() };
        let mut before = orphans();
        for _ in 0..ROUNDS {
            let sight = self.look_once(main, before.clone());
            let after = orphans();
            // One that ended while it was looked at has left its children to the keeper: that nobody is
            // there is only true if nobody came meanwhile.
            if !sight.members.is_empty() || after == before {
                return sight;
            }
            before = after;
        }
        Sight { unclear: true, ..Sight::default() }
    }

    fn look_once(&mut self, main: Option<i32>, orphans: Vec<i32>) -> Sight {
        self.killed.retain(|member| Member::of(member.pid) == Some(*member));
        let mut members = self.killed.clone();
        let unclear = self.walk(main, orphans, &mut |member| {
            members.insert(member);
        });
        Sight { members, unclear }
    }

    /// Kills all of it that can be found.
    pub fn kill(&mut self, main: Option<i32>, orphans: impl Fn() -> Vec<i32>) {
        if self.close() {
            return;
        }
        let killed = kill(|stop| {
            self.walk(main, orphans(), stop);
        });
        self.killed.extend(killed.into_keys());
    }

    /// Shows each living member to `seen`, parents first; true when one can't be told from a stranger yet.
    fn walk(&mut self, main: Option<i32>, mut strangers: Vec<i32>, seen: &mut dyn FnMut(Member)) -> bool {
        let mut found: Vec<i32> = main.into_iter().collect();
        // Who lost its parent in the room; of its own parents, the main process is no child of the host's.
        found.extend(self.host.map(procfs::children).into_iter().flatten());
        loop {
            let mut unclear = false;
            strangers.retain(|pid| {
                let ours = self.owns(*pid);
                found.extend(ours.unwrap_or_default().then_some(*pid));
                unclear |= ours.is_none();
                ours != Some(true)
            });
            if found.is_empty() {
                return unclear;
            }
            while let Some(pid) = found.pop() {
                if let Some(member) = Member::of(pid) {
                    self.sessions.extend(procfs::stat(pid).map(|stat| stat.session));
                    seen(member);
                }
                // of a process that `seen` has stopped, these are all there will be
                found.extend(procfs::children(pid));
            }
        }
    }

    /// Whether an orphan is one of its processes; `None` when that can't be told yet.
    fn owns(&self, pid: i32) -> Option<bool> {
        let Some(stat) = procfs::stat(pid).filter(|stat| !stat.zombie) else { return Some(false) };
        if self.sessions.contains(&stat.session) {
            return Some(true);
        }
        let environ = procfs::environ(pid);
        if environ.is_empty() && procfs::is_young(&stat) {
            return None;
        }
        Some(procfs::has_entry(&environ, self.marker.as_bytes()))
    }
}

/// The children of this process that `is_main` does not know.
pub(crate) fn orphans(is_main: impl Fn(i32) -> bool) -> Vec<i32> {
    let mut children = procfs::children(std::process::id().cast_signed());
    children.retain(|pid| !is_main(*pid));
    children
}

/// Shows all living descendants of this process to `seen`.
pub(crate) fn descendants(seen: &mut dyn FnMut(Member)) {
    let mut found = procfs::children(std::process::id().cast_signed());
    while let Some(pid) = found.pop() {
        if let Some(member) = Member::of(pid) {
            seen(member);
        }
        found.extend(procfs::children(pid));
    }
}

/// Kills everything that `walk` shows; returns whom, each with a descriptor that is readable when it is
/// gone. Whoever is shown is stopped at once, and `walk` is repeated until it shows nobody new.
pub(crate) fn kill(mut walk: impl FnMut(&mut dyn FnMut(Member))) -> BTreeMap<Member, OwnedFd> {
    let mut held = BTreeMap::new();
    for _ in 0..ROUNDS {
        let known = held.len();
        walk(&mut |member| {
            if !held.contains_key(&member)
                && let Some(fd) = member.open()
            {
                let _ = rustix::process::pidfd_send_signal(&fd, Signal::STOP);
                held.insert(member, fd);
            }
        });
        if held.len() == known {
            break;
        }
    }
    for fd in held.values() {
        let _ = rustix::process::pidfd_send_signal(fd, Signal::KILL);
    }
    held
}
