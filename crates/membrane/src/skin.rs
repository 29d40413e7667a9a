//! Skin: what a workload can reach, whatever it is told or tricked to do.
//!
//! ```text
//! keeper:  Skin ──grow──▶ room (namespaces, a root of its own), Landlock rules, seccomp filter
//! child:   enter the room ▶ no capability ▶ no new privileges ▶ Landlock ▶ seccomp ▶ execveat
//! ```
//! All of it is laid out before the child exists, and none of it can be taken off again: children inherit it. Room and
//! Landlock each keep the same promises by other means; a skin is grown of what the kernel has, and refused where what it
//! has doesn't keep all of them.

mod calls;
mod files;
mod layers;
mod room;
mod wear;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use calls::allowed_calls;
pub use layers::Layers;
pub(crate) use layers::Means;
pub(crate) use room::{GUEST, Host, NAMESPACES, Renewal, Room};
pub(crate) use wear::{Grown, drop_capabilities};

use crate::bpf::Reach;

/// What a workload may reach; everything else is refused to it: other files, ports and processes, UDP, local sockets but
/// pairs of its own, new namespaces, and most of what makes a kernel do more than run programs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skin {
    /// Files and folders that it may read.
    pub read: Vec<PathBuf>,
    /// Files and folders that it may read, and whose programs it may run.
    pub run: Vec<PathBuf>,
    /// Files and folders that it may read, and change in any way but by making devices.
    pub write: Vec<PathBuf>,
    /// Folders that are given to it, with all that it makes in them. The first is its home.
    pub own: Vec<PathBuf>,
    /// The TCP ports that it may connect to, on any address; `None` for all.
    pub connect: Option<Vec<u16>>,
    /// The TCP ports that it may listen on.
    pub listen: Vec<u16>,
    /// Whether it has no network at all: no sockets but pairs, and where it has a room, a network of its own with nothing
    /// in it. `connect` and `listen` name nothing then.
    #[serde(default)]
    pub offline: bool,
    /// Where exactly it may reach, addresses and UDP included. It takes [`Layers::reach`] and a group, or
    /// [`Layers::network`], and is refused without.
    #[serde(default)]
    pub reach: Option<Reach>,
    /// What it finds its machine to be called, where it has a room.
    pub host_name: String,
    /// The size of its `/tmp`, in MiB, where it has a room.
    pub tmp_mb: u64,
    /// By what it must be kept.
    pub by: By,
}

/// What keeps a workload in its skin, beside the filter of system calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// Whatever this machine has, as long as all promises are kept.
    #[default]
    Any,
    /// Landlock, and no room.
    Landlock,
    /// A room and Landlock, each by itself.
    Both,
}

/// A file that is given to a workload alone: it stands in memory, and goes with it.
#[derive(Debug)]
pub struct Bound {
    /// Its path below `/run`, such as `secrets/db-password`.
    pub name: String,
    /// What is to stand in it, from its beginning.
    pub content: OwnedFd,
}

/// Why a skin can't be grown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lack {
    /// The kernel is too old, or was built or started without it, or doesn't let us.
    #[error("this machine can't confine a workload: {0}")]
    Machine(String),
    /// A path that it names can't be opened.
    #[error("open {} for it: {source}", path.display())]
    Path { path: PathBuf, source: std::io::Error },
    /// The kernel refused.
    #[error("make its rules: {0}")]
    Refused(String),
}

impl Skin {
    /// Whether Landlock keeps it to its TCP ports: not where programs at its group do, which know more, and tell what they
    /// refuse; Landlock would refuse first, and say nothing. Nor where a network of its own does.
    fn ports_by_landlock(&self) -> bool {
        !self.offline && (self.reach.is_none() || self.by != By::Any)
    }

    /// Lays it out for a child to put on. `network`: by a network of its own it is kept to its reach.
    pub(crate) fn grow(&self, bound: Vec<Bound>, means: &Means, network: bool) -> Result<Grown, Lack> {
        let (room, landlock) = means.choose(self)?;
        let room = room.filter(|_| self.by != By::Landlock);
        if room.is_none() && !bound.is_empty() {
            let why = "files are given to a workload in memory of its own, which takes namespaces";
            return Err(Lack::Machine(why.to_owned()));
        }
        let given = !bound.is_empty();
        let reach = self.reach.as_ref().filter(|_| network);
        let room = room.map(|means| Room::plan(self, bound, means, reach)).transpose()?;
        let rules = landlock.map(|version| files::rules(self, version, room.is_some(), given)).transpose()?;
        Ok(Grown::new(rules, calls::filter(self).map_err(Lack::Refused)?, room))
    }
}

#[cfg(test)]
mod tests;
