//! Skin: what a workload can reach, whatever it is told or tricked to do.
//!
//! ```text
//! keeper:  Skin ──grow──▶ Landlock rules (a descriptor), seccomp filter (bytes)
//! child:   no capability ▶ no new privileges ▶ Landlock ▶ seccomp ▶ execveat
//! ```
//! All of it is laid out before the child exists, and none of it can be taken off again: children inherit it. What the
//! kernel can't give in full is a refusal, never a part of it.

mod calls;
mod files;
mod wear;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use wear::Grown;

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
    /// The TCP ports that it may connect to, on any address; `None` for all.
    pub connect: Option<Vec<u16>>,
    /// The TCP ports that it may listen on.
    pub listen: Vec<u16>,
}

/// Why a skin can't be grown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lack {
    /// The kernel is too old, or was built or started without it.
    #[error("this kernel can't confine a workload: {what} is needed ({since}), and {has}")]
    Kernel { what: &'static str, since: &'static str, has: String },
    /// A path that it names can't be opened.
    #[error("open {} for its rules: {source}", path.display())]
    Path { path: PathBuf, source: std::io::Error },
    /// The kernel refused.
    #[error("make its rules: {0}")]
    Refused(String),
}

impl Skin {
    /// Whether this machine's kernel can confine a workload; why not.
    pub fn possible() -> Result<(), String> {
        files::check().map_err(|lack| lack.to_string())
    }

    /// Lays it out for a child to put on.
    pub(crate) fn grow(&self) -> Result<Grown, Lack> {
        Ok(Grown::new(files::rules(self)?, calls::filter().map_err(Lack::Refused)?))
    }
}

#[cfg(test)]
mod tests;
