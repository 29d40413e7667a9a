//! What a killed keeper left: processes are killed, empty groups removed.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::Timespec;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::files;

/// How long a group's processes may take to die.
const PATIENCE: Duration = Duration::from_secs(10);
/// A folder that was changed since may belong to a keeper that is just starting, or becoming a newer program.
const ABANDONED: Duration = Duration::from_secs(600);
/// How soon it is looked again whether they did.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 2_000_000 };

/// Writes down where the keeper's folders are, beside those that are still there from before.
pub(super) fn record<'a>(record: &Path, folders: impl Iterator<Item = &'a Path>) -> io::Result<()> {
    let before = folders_in(record);
    let mut text = Vec::new();
    let all = folders.map(Path::to_owned).chain(before).filter(|folder| folder.exists());
    let mut all: Vec<PathBuf> = all.collect();
    all.sort();
    all.dedup();
    for folder in all {
        text.extend(folder.as_os_str().as_bytes());
        text.push(b'\n');
    }
    let new = record.with_extension("new");
    fs::write(&new, text).and_then(|()| fs::rename(&new, record))
}

/// Empties and removes the folders of that name that were written down, as far as that goes.
pub(super) fn recorded(record: &Path, name: &str) {
    for folder in folders_in(record) {
        // nothing else is ever written down; but what follows kills
        if folder.file_name().is_some_and(|found| found == name) && folder.join("cgroup.procs").exists() {
            let _ = empty(&folder).and_then(|()| fs::remove_dir(&folder));
        }
    }
}

/// Ends the processes in all groups below, and removes these.
pub(super) fn empty(folder: &Path) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !files::children(folder).is_empty() || !files::processes(folder)?.is_empty() {
        kill(folder);
        for child in files::children(folder) {
            remove(&child);
        }
        if Instant::now() > deadline {
            let text = format!("processes in {} don't die", folder.display());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        if !files::children(folder).is_empty() {
            // no event tells of a v1 group that it is empty
            let _ = rustix::event::poll(&mut [], Some(&LOOK_AGAIN));
        }
    }
    Ok(())
}

/// Removes empty folders that nobody holds any more, beside the one of that name: their keepers were killed, and their state is
/// gone, so that no successor of theirs will come.
///
/// How old they are the one of that name says, which was made just now: our own clock may have been set meanwhile, or be
/// another than the one by which they were made.
pub(super) fn abandoned(place: &Path, name: &str) {
    let changed = |folder: &Path| fs::metadata(folder).and_then(|data| data.modified());
    let Ok(now) = changed(&place.join(name)) else { return };
    for folder in files::children(place) {
        let other = folder.file_name().and_then(|other| other.to_str()).unwrap_or_default();
        let keepers = other.len() == name.len() && other.starts_with(super::PREFIX) && other != name;
        let old = changed(&folder);
        let old = old.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > ABANDONED));
        // Held until it is gone, so that no keeper takes it up meanwhile.
        if keepers
            && old
            && let Ok(_held) = hold(&folder)
        {
            remove(&folder);
        }
    }
}

/// Holds a folder, as long as the descriptor is open; an error where another keeper does.
pub(super) fn hold(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let held = rustix::fs::open(folder, flags, Mode::empty())?;
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive)?;
    Ok(held)
}

/// Kills whoever is in a group or below it: once, so that it is to be repeated until nobody is left.
pub(super) fn kill(group: &Path) {
    if files::write(&group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for child in files::children(group) {
        kill(&child);
    }
    let freezer = group.join("freezer.state");
    // nobody can fork past us then; a frozen process dies when it is thawed
    let _ = files::write(&freezer, "FROZEN");
    for pid in files::processes(group).unwrap_or_default() {
        kill_member(pid, group);
    }
    let _ = files::write(&freezer, "THAWED");
}

/// The number may have become another's since it was read: only a process that is still there is killed.
fn kill_member(pid: i32, group: &Path) {
    if let Some(number) = Pid::from_raw(pid)
        && let Ok(process) = rustix::process::pidfd_open(number, PidfdFlags::empty())
        && files::processes(group).is_ok_and(|now| now.contains(&pid))
    {
        let _ = rustix::process::pidfd_send_signal(&process, Signal::KILL);
    }
}

/// Removes a group and those below it, as far as they are empty. Whether it is gone.
pub(super) fn remove(group: &Path) -> bool {
    match fs::remove_dir(group) {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        // Most have none below them.
        Err(_) => {
            let children = files::children(group);
            !children.is_empty()
                && children.iter().filter(|child| !remove(child)).count() == 0
                && fs::remove_dir(group).is_ok()
        }
    }
}

fn folders_in(record: &Path) -> Vec<PathBuf> {
    let text = fs::read(record).unwrap_or_default();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| PathBuf::from(std::ffi::OsStr::from_bytes(line)))
        .filter(|path| path.is_absolute())
        .collect()
}
