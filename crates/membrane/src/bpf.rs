//! Programs in the kernel (eBPF): what a replica's sockets may reach, and what its processes do.
//!
//! ```text
//! keeper:  Programs::load ─▶ attach(reach, group) ─ the group lives on with them ─▶ refused, counted, told
//! mesh:    Watch::open(group) ─▶ counters            Tracer ─▶ exec, exit
//! ```
//! The programs are written in Rust (`asm`) and need no compiler on the node, no file and no kernel headers. They need
//! root (`CAP_BPF`, `CAP_NET_ADMIN`, `CAP_PERFMON`) and the v2 hierarchy of groups; what is missing is said.
//!
//! What they don't see: sockets without packets of the internet (local ones, netlink, vsock, packet sockets), which the
//! system calls' filter refuses; and a socket that somebody outside the group has made and handed in.

mod asm;
mod btf;
mod gates;
mod packets;
mod place;
mod reach;
mod ring;
mod shape;
mod sys;
mod tracer;
mod watch;

use std::io;
use std::path::PathBuf;

pub use place::group_of;
pub use reach::{Programs, Reach, possible};
pub use tracer::Processes;
pub use watch::{Protocol, Sighting, Traffic, Watch, What};

/// Why it can't be done here.
#[derive(Debug, thiserror::Error)]
pub enum Lack {
    /// Programs would be blind.
    #[error("this kernel ({has}) can't limit what is reached: Linux 5.15 is needed")]
    Old {
        /// Its release.
        has: String,
    },
    /// There are no groups to stand at.
    #[error("no cgroup v2 hierarchy is mounted here")]
    NoHierarchy,
    /// No group can be made.
    #[error("make the group {}: {source}", path.display())]
    Group {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Programs are for root.
    #[error("{what}: it takes root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)")]
    NotRoot {
        /// What was tried.
        what: &'static str,
    },
    /// The kernel has no such thing, or refused.
    #[error("{what}: {source}")]
    Call {
        /// What was tried.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel's verifier refused.
    #[error("{0}")]
    Refused(String),
    /// Nothing stands at a group.
    #[error("no program stands at the group")]
    NotThere,
    /// The rules don't fit.
    #[error("{count} destinations and ports are listed, at most {most} may be")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
}

impl Lack {
    fn of_call(what: &'static str, error: &io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM) => Self::NotRoot { what },
            _ => Self::Call {
                what,
                source: io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO)),
            },
        }
    }
}

#[cfg(test)]
mod tests;
