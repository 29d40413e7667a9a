//! The hierarchy of groups that programs stand in: the v2 one, wherever it is mounted.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::path::PathBuf;

use super::Lack;
use crate::home;

/// Before this one, a group of v1's net_cls, wherever it is made, takes all sockets out of the v2 hierarchy.
const SINCE: (u32, u32) = (5, 15);

/// Refuses kernels on which programs can be made to look at nothing.
pub(super) fn old() -> Result<(), Lack> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim_end().to_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < SINCE { Err(Lack::Old { has: release }) } else { Ok(()) }
}

/// Where the v2 hierarchy is mounted.
fn mounted() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        after.starts_with("cgroup2 ").then(|| before.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// How many groups are above this one, the root among them.
pub(super) fn depth(group: BorrowedFd<'_>) -> Result<i32, Lack> {
    let root = mounted().ok_or(Lack::NoHierarchy)?;
    let link = PathBuf::from(format!("/proc/self/fd/{}", group.as_raw_fd()));
    let path = fs::read_link(&link).map_err(|source| Lack::Group { path: link, source })?;
    let below = path.strip_prefix(&root).map_err(|_| Lack::NoHierarchy)?;
    i32::try_from(below.components().count()).map_err(|_| Lack::NoHierarchy)
}

/// How many processors there may ever be: that many values a map has for each key.
pub(super) fn processors() -> usize {
    let possible = fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    let last = possible.trim_end().rsplit(['-', ',']).next().and_then(|last| last.parse::<usize>().ok());
    last.map_or(1, |last| last + 1)
}

/// The group of a process in the v2 hierarchy; none where there is no such hierarchy or process.
#[must_use]
pub fn group_of(process: u32) -> Option<PathBuf> {
    let own = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(mounted()?.join(path))
}

/// A group that is there to try something, without a process.
#[derive(Debug)]
pub(super) struct Trial {
    path: PathBuf,
    dir: File,
}

impl Trial {
    /// Makes it below the one that we are in.
    pub fn new() -> Result<Self, Lack> {
        let root = mounted().ok_or(Lack::NoHierarchy)?;
        let own = group_of(std::process::id()).unwrap_or(root);
        let path = own.join(format!("mesh-trial-{}", home::chance()));
        let made = fs::create_dir(&path).and_then(|()| File::open(&path));
        let dir = made.map_err(|source| Lack::Group { path: path.clone(), source })?;
        Ok(Self { path, dir })
    }
}

impl AsFd for Trial {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _: io::Result<()> = fs::remove_dir(&self.path);
    }
}
