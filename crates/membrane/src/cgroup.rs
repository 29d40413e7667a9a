//! Cgroup: how much a workload may use, whatever it asks the kernel for, and how all of it is killed at once.
//!
//! ```text
//! <place>/mesh-<keeper>/replica-<n>     in the v2 tree, and in each v1 hierarchy that has what v2 lacks
//! ```
//! The keeper has a folder of its own in each hierarchy, with one group a replica. A resource is limited by v2 where
//! that has its controller for us, else by v1, else not at all, and then the reason is known ([`Budgets`]): it is the
//! same for every workload, and what to do about it stands in it.
//!
//! | file | holds |
//! |---|---|
//! | `mounts` | which hierarchies there are, and where we stand in each |
//! | `place` | where in them the keeper may have its folder |
//! | `limits` | what is written to which file |
//! | `group` | the group of one replica |
//! | `slice` | whose threads go first when they wake |
//! | `sweep` | what a killed keeper left |

mod files;
mod group;
mod limits;
mod mounts;
mod place;
mod slice;
mod sweep;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use group::{Doors, Group};
pub use group::{Usage, Used};
pub use limits::Limits;
use place::Found;

/// What a keeper's folder is called, before its id.
const PREFIX: &str = "mesh-";
/// How much of the keeper's id its folder is called after.
const UNIQUE: usize = 8;

/// The two kinds of hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Version {
    /// A hierarchy with some controllers, one of several.
    V1,
    /// The one with all that are in no v1 hierarchy.
    V2,
}

/// What a hierarchy can do for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Controller {
    Cpu,
    /// Counts what the CPU does; v2 counts without one.
    Cpuacct,
    Memory,
    Pids,
    Io,
    Freezer,
}

/// Whether a resource of a workload is limited, and by what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// By this kind of hierarchy.
    By(Version),
    /// Not at all, for this reason.
    Not(String),
}

/// What of a workload's budget the kernel holds it to here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budgets {
    /// Its share of the CPU.
    pub cpu: Hold,
    /// Its memory.
    pub memory: Hold,
    /// Its processes and threads.
    pub pids: Hold,
    /// Its share of the disks.
    pub io: Hold,
    /// Whether all its processes are killed at once (v2), or frozen and then killed (v1).
    pub kill: Hold,
}

/// The keeper's folder in one hierarchy, or a replica's group in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Folder {
    version: Version,
    path: PathBuf,
    controllers: Vec<Controller>,
}

/// The keeper's folders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroups {
    folders: Vec<Folder>,
    budgets: Budgets,
}

impl Folder {
    fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Hold {
    /// Whether it is limited at all.
    #[must_use]
    pub fn is(&self) -> bool {
        matches!(self, Self::By(_))
    }
}

impl Cgroups {
    /// Finds what there is and makes the keeper's folders, emptied of what a predecessor left. `record` is the file in
    /// which they stand for a successor: it may be started elsewhere, and still has to find them.
    ///
    /// It never fails: what can't be had stands in [`Cgroups::budgets`].
    pub fn prepare(unique: &str, record: &Path) -> Self {
        let name = folder_name(unique);
        sweep::recorded(record, &name);
        let found = mounts::read().map(|hierarchies| place::find(&hierarchies, &name));
        let Found { folders, budgets } = found.unwrap_or_else(|error| Found::nothing(&error.to_string()));
        let mut made = Self { folders, budgets };
        if let Err(error) = made.open(record) {
            made.close();
            made = Self { folders: Vec::new(), budgets: Found::nothing(&error.to_string()).budgets };
        }
        made
    }

    /// What of a budget is held.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Where the groups of the v2 hierarchy lie.
    pub fn v2(&self) -> Option<&Path> {
        self.folders.iter().find(|folder| folder.version == Version::V2).map(|folder| folder.path.as_path())
    }

    /// A group for a replica, with its limits, and nobody in it. On an error there is none.
    pub fn group(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        Group::make(&self.folders, name, limits)
    }

    /// Shows others that the folders have a keeper, as long as these are open.
    pub fn hold(&self) -> Vec<OwnedFd> {
        self.folders.iter().filter_map(|folder| sweep::hold(&folder.path).ok()).collect()
    }

    /// Removes the folders; to be called when no group is left in them.
    pub fn close(&self) {
        for folder in &self.folders {
            let _ = std::fs::remove_dir(&folder.path);
        }
    }

    /// They were made by [`place::find`]; before anybody is in them, a successor must know where they are.
    fn open(&self, record: &Path) -> io::Result<()> {
        self.folders.iter().try_for_each(|folder| sweep::empty(&folder.path))?;
        sweep::record(record, self.folders.iter().map(|folder| folder.path.as_path()))
    }
}

/// Has a thread go first when it wakes, and what it starts.
pub(crate) fn hurry(thread: i32) {
    slice::set(thread, true);
}

/// Ends whoever a keeper that was killed has left in its groups, and removes them.
pub(crate) fn sweep(unique: &str, record: &Path) {
    sweep::recorded(record, &folder_name(unique));
}

fn folder_name(unique: &str) -> String {
    let short: String = unique.chars().filter(char::is_ascii_alphanumeric).take(UNIQUE).collect();
    format!("{PREFIX}{short}")
}

#[cfg(test)]
mod tests;
