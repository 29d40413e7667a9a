//! What `/proc` tells of other processes: parent, session, state, children, environment.
//!
//! Everything here may be stale by the time it is used; callers repeat until nothing changes, and
//! signal through a descriptor that was checked against [`Stat::started`].

use std::fs;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The largest environment that is looked at.
const MAX_ENVIRON: u64 = 2 << 20;
/// Ticks in a second (`USER_HZ`): the kernel's promise to user space on every machine we run on.
const TICKS: f64 = 100.0;
/// Up to this age, in seconds, a process without an environment may be about to have one.
const YOUNG: f64 = 2.0;
/// How long it is waited for.
const MOMENT: Duration = Duration::from_millis(100);

/// What `/proc/<pid>/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub parent: i32,
    pub session: i32,
    /// Dead, and not yet reaped.
    pub zombie: bool,
    /// When it was started, in ticks since boot: with the pid, this names a process for good.
    pub started: u64,
}

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// `pid (name) state ppid pgrp session …`, where the name may hold anything, parentheses included.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let after_name = text.iter().rposition(|byte| *byte == b')')? + 1;
    let mut fields = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session = fields.nth(1)?.parse().ok()?;
    let started = fields.nth(15)?.parse().ok()?;
    Some(Stat { parent, session, zombie: matches!(state, "Z" | "X"), started })
}

/// The children of all threads of `pid`. Exact for one's own and for a stopped process' children.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            // a thread that ended, or a kernel built without this file
            Err(_) if thread.path().exists() => return children_by_parent(pid),
            Err(_) => {}
        }
    }
    found
}

fn children_by_parent(parent: i32) -> Vec<i32> {
    all().into_iter().filter(|pid| stat(*pid).is_some_and(|s| s.parent == parent)).collect()
}

/// Whether a process does something of its own at a signal: by a handler, or by asking for it while it is blocked.
pub(crate) fn awaits(pid: i32, signal: i32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { return false };
    let set = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
    };
    let bit = u32::try_from(signal - 1).ok().and_then(|number| 1_u64.checked_shl(number)).unwrap_or(0);
    (set("SigCgt") | set("SigBlk")) & bit != 0
}

/// All processes there are.
pub(crate) fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The environment `pid` was executed with, `NAME=value` and a zero byte each; empty when it may not be read.
pub(crate) fn environ(pid: i32) -> Vec<u8> {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = fs::File::open(format!("/proc/{pid}/environ")) {
        let _ = file.take(MAX_ENVIRON).read_to_end(&mut bytes);
    }
    bytes
}

/// Whether it was started in the last two seconds: it may be in the middle of executing a program, and
/// its environment is empty then.
pub(crate) fn is_young(stat: &Stat) -> bool {
    let uptime = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds: Option<f64> = uptime.split(' ').next().and_then(|seconds| seconds.parse().ok());
    #[expect(clippy::cast_precision_loss, reason = "ticks since boot are far below 2^53")]
    seconds.is_some_and(|seconds| seconds - (stat.started as f64) / TICKS < YOUNG)
}

/// [`environ`], but waits a moment for that of a program that is just being executed. Not to be called
/// in the keeper's loop.
pub(crate) fn settled_environ(pid: i32, stat: &Stat) -> Vec<u8> {
    let deadline = Instant::now() + MOMENT;
    loop {
        let bytes = environ(pid);
        let executing = bytes.is_empty()
            && !stat.zombie
            && is_young(stat)
            && fs::read_link(format!("/proc/{pid}/exe")).is_ok();
        if !executing || Instant::now() > deadline {
            return bytes;
        }
        std::thread::yield_now();
    }
}

/// Whether `environ` has exactly this entry.
pub(crate) fn has_entry(environ: &[u8], entry: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|e| e == entry)
}

/// The variables of an environment.
pub(crate) fn variables(environ: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    environ.split(|byte| *byte == 0).filter_map(|entry| {
        let equals = entry.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        Some((&entry[..equals], &entry[equals + 1..]))
    })
}

/// What an open file is called.
pub(crate) fn path_of(file: BorrowedFd<'_>) -> PathBuf {
    let link = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    fs::read_link(&link).unwrap_or(link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_survives_hostile_names() {
        let line = b"12 (a) R 1 (b\n) S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3\n";
        let expected = Stat { parent: 7, session: 9, zombie: false, started: 98765 };
        assert_eq!(parse_stat(line), Some(expected));
        assert_eq!(parse_stat(b"12 (a"), None);
        assert_eq!(parse_stat(b"12 (a) S 1"), None);
    }

    #[test]
    fn sees_itself() {
        let me = std::process::id().cast_signed();
        let stat = stat(me).unwrap();
        assert!(!stat.zombie && stat.started > 0);
        assert_eq!(stat.parent, std::os::unix::process::parent_id().cast_signed());
        assert!(all().contains(&me));
        assert!(has_entry(b"A=1\0B=2\0", b"B=2") && !has_entry(b"A=1\0B=22\0", b"B=2"));
    }
}
