//! Strays: workloads whose keeper was killed. Their output goes nowhere and their exit status can't be
//! known, so they are ended before anything is started in their place.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::home::Home;
use crate::tree::{self, Member};
use crate::{cgroup, marker, procfs};

/// How long one waits for what was killed to be gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends what a killed keeper left of the workloads it kept in `dir` (`state/keeper`), and returns how
/// many processes that were. An error when a keeper is alive there: then they are no strays.
pub fn reap_strays(dir: &Path) -> io::Result<usize> {
    if !dir.exists() {
        return Ok(0);
    }
    let home = Home::open(dir)?;
    let _lock = home.lock()?;
    // Nobody listens there any more.
    home.unlink_socket();
    let unique = home.unique()?;
    let ended = end(&unique)?;
    cgroup::sweep(&unique, &home.cgroups());
    Ok(ended)
}

/// Ends every process marked by the keeper folder `unique`, and waits until they are gone.
pub(crate) fn end(unique: &str) -> io::Result<usize> {
    let (prefix, deadline) = (marker::prefix(unique), Instant::now() + PATIENCE);
    let mut ended = 0;
    loop {
        let killed = tree::kill(|seen| find(prefix.as_bytes()).into_iter().for_each(seen));
        ended += killed.len();
        if killed.is_empty() {
            return Ok(ended);
        }
        for process in killed.values() {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            if rustix::event::poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&timeout))? == 0 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "a stray workload does not die"));
            }
        }
    }
}

/// All living processes with the marker, in a session of one of those, or below one of either.
fn find(prefix: &[u8]) -> BTreeSet<Member> {
    let stats: BTreeMap<i32, procfs::Stat> =
        procfs::all().into_iter().filter_map(|pid| Some((pid, procfs::stat(pid)?))).collect();
    let marked = |(pid, stat): (&i32, &procfs::Stat)| {
        let environ = procfs::settled_environ(*pid, stat);
        environ.split(|byte| *byte == 0).any(|entry| entry.starts_with(prefix)).then_some(*pid)
    };
    let mut ours: BTreeSet<i32> = stats.iter().filter_map(marked).collect();
    ours.remove(&std::process::id().cast_signed());
    loop {
        let known = ours.len();
        let sessions: BTreeSet<i32> = ours.iter().filter_map(|pid| Some(stats.get(pid)?.session)).collect();
        for (pid, stat) in &stats {
            if ours.contains(&stat.parent) || sessions.contains(&stat.session) {
                ours.insert(*pid);
            }
        }
        if ours.len() == known {
            return ours.into_iter().filter_map(Member::of).collect();
        }
    }
}
