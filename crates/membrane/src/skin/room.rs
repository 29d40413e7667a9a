//! Room: namespaces of a workload's own, and a root that holds what its skin names and nothing else.
//!
//! ```text
//! keeper ─ clone ─▶ host     process 1 of the room: user, pid, mount, ipc, uts and cgroup namespaces; waits for the end
//!        ─ clone ─▶ stage    enters them, and clones as our child ─▶ guest   makes the root, pivots, wears the skin, executes
//! ```
//! What stands in the root has the same path as on the machine, so that a program needn't know where it runs.

#![expect(unsafe_code, reason = "namespaces are entered between clone and execve")]

mod act;
mod layout;
mod pause;
mod renew;

use std::ffi::{CString, c_int, c_void};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::process::{Pid, Signal, WaitOptions};

use super::wear::Grown;
use super::{Bound, Lack, Skin};
use crate::bpf::Reach;
use crate::clone::Birth;
use crate::launch::{Launch, Program};
use crate::relay::Order;
use act::Thing;
pub(super) use layout::{RUN, TMP};
pub(crate) use renew::Renewal;

/// The user and group that a workload finds itself to be.
pub(crate) const GUEST: u32 = 1000;
/// Users of rooms, as the machine sees them, begin here: above all that is given to people, services and containers. What
/// is added is the number of the room's user namespace, which no other has on the whole machine for as long as it lives: a
/// process' number would be the same in two containers.
const FIRST_USER: u32 = 0x7000_0000;
/// The kernel numbers namespaces from here on (`PROC_DYNAMIC_FIRST`), the lowest free one each time.
const FIRST_NAMESPACE: u64 = 0xF000_0000;
/// So many it can give.
const USERS: u32 = 0x1000_0000;
/// All that a room has of its own.
pub(crate) const NAMESPACES: c_int = libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP;

/// What it takes to make rooms.
#[derive(Debug)]
pub(super) struct Means {
    pause: OwnedFd,
    /// Whether each has a user of its own, or all are the keeper's.
    own_user: bool,
}

/// A room, laid out.
#[derive(Debug)]
pub(crate) struct Room {
    things: Vec<Thing>,
    options: Vec<(&'static std::ffi::CStr, CString)>,
    host_name: CString,
    own_user: bool,
    /// Those that it has of its own.
    namespaces: c_int,
    /// What is reached from its network, where that is its own and has anything in it.
    reach: Option<Reach>,
    /// Given to its user, once that is known.
    own: Vec<OwnedFd>,
    pause: OwnedFd,
}

/// Process 1 of a room. Dropped, the room and all in it are ended.
#[derive(Debug)]
pub(crate) struct Host {
    pid: Option<Pid>,
    fd: OwnedFd,
}

impl Means {
    /// Finds out what this process may do.
    pub(super) fn find() -> io::Result<Self> {
        let all = |path: &str| -> io::Result<bool> {
            let map = std::fs::read_to_string(path)?;
            let reaches = |line: &str| {
                let mut numbers = line.split_ascii_whitespace().filter_map(|n| n.parse::<u64>().ok());
                let (first, _, count) = (numbers.next(), numbers.next(), numbers.next());
                let last = u64::from(FIRST_USER) + u64::from(USERS);
                first.zip(count).is_some_and(|(first, n)| first <= FIRST_USER.into() && first + n >= last)
            };
            Ok(map.lines().any(reaches))
        };
        let root = rustix::process::geteuid().is_root();
        let own_user = root && all("/proc/self/uid_map")? && all("/proc/self/gid_map")?;
        Ok(Self { pause: pause::wait()?, own_user })
    }

    /// Makes a room with nothing in it but a program that leaves at once; `offline`, with a network of its own.
    pub(super) fn attempt(&self, offline: bool) -> io::Result<()> {
        let skin = Skin { host_name: "mesh".to_owned(), tmp_mb: 1, offline, ..Skin::default() };
        let room =
            Room::plan(&skin, Vec::new(), self, None).map_err(|lack| io::Error::other(lack.to_string()))?;
        let (program, null) = (pause::leave()?, std::fs::File::open("/dev/null")?);
        let null = null.as_fd();
        let launch = Launch {
            program: Program::Descriptor(program.as_fd()),
            path: c"".into(),
            argv: vec![c"attempt".into()],
            envp: Vec::new(),
            cwd: c"/".into(),
            stdio: [null; 3],
            skin: Some(&Grown::bare(room)),
            group: None,
            joins: &[],
            open_files: 0,
        };
        let started =
            launch.start().map_err(|failure| io::Error::new(failure.error.kind(), failure.to_string()))?;
        let ended = rustix::process::waitpid(Some(started.pid), WaitOptions::empty());
        if let Some(host) = started.host {
            let _ = rustix::process::kill_process(host, Signal::KILL);
            let _ = rustix::process::waitpid(Some(host), WaitOptions::empty());
        }
        match ended? {
            Some((_, status)) if status.exit_status() == Some(0) => Ok(()),
            other => Err(io::Error::other(format!("a program in it ends with {other:?}"))),
        }
    }

    pub(super) const fn own_user(&self) -> bool {
        self.own_user
    }
}

impl Room {
    /// Lays it out. With a reach, it has a network of its own, and a relay.
    pub(super) fn plan(
        skin: &Skin,
        bound: Vec<Bound>,
        means: &Means,
        reach: Option<&Reach>,
    ) -> Result<Self, Lack> {
        let things = layout::things(skin, bound, rustix::process::geteuid().is_root())?;
        let lost = |path: &std::path::Path| {
            let path = path.to_owned();
            move |source: rustix::io::Errno| Lack::Path { path, source: source.into() }
        };
        let flags = rustix::fs::OFlags::DIRECTORY
            | rustix::fs::OFlags::RDONLY
            | rustix::fs::OFlags::NOFOLLOW
            | rustix::fs::OFlags::CLOEXEC;
        let open = |path: &std::path::PathBuf| {
            rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(lost(path))
        };
        Ok(Self {
            things,
            options: layout::root_options(),
            host_name: layout::text(skin.host_name.as_bytes())?,
            own_user: means.own_user,
            namespaces: if skin.offline || reach.is_some() {
                NAMESPACES | libc::CLONE_NEWNET
            } else {
                NAMESPACES
            },
            reach: reach.filter(|_| !skin.offline).cloned(),
            own: skin.own.iter().map(open).collect::<Result<_, _>>()?,
            pause: means.pause.try_clone().map_err(|error| Lack::Refused(error.to_string()))?,
        })
    }

    /// Starts its process 1, in a cgroup. All signals must be blocked.
    pub(crate) fn open(&self, envp: &[CString], group: Option<BorrowedFd<'_>>) -> io::Result<Host> {
        let envp: Vec<_> = envp.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        let mut wait = act::Wait { program: self.pause.as_raw_fd(), envp: envp.as_ptr(), errno: 0 };
        // The cgroup namespace begins where the process is, so it is made by the process itself.
        let birth = Birth { flags: self.namespaces & !libc::CLONE_NEWCGROUP, group };
        let arg = (&raw mut wait).cast::<c_void>();
        // SAFETY: `wait` does system calls only, on what lives here until it has executed or ended.
        let (pid, fd) = unsafe { birth.child(act::host, arg) }?;
        let host = Host { pid: Some(pid), fd };
        if wait.errno != 0 {
            return Err(io::Error::from_raw_os_error(wait.errno));
        }
        self.map(pid)?;
        Ok(host)
    }

    /// Says who is who in it.
    fn map(&self, pid: Pid) -> io::Result<()> {
        let of = |what: &str| format!("/proc/{}/{what}", pid.as_raw_nonzero());
        let (mut user, mut group) =
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if self.own_user {
            user = own_user(&of("ns/user"))?;
            group = user;
            for folder in &self.own {
                let (user, group) = (rustix::fs::Uid::from_raw(user), rustix::fs::Gid::from_raw(group));
                rustix::fs::fchown(folder, Some(user), Some(group))?;
            }
        } else if !rustix::process::geteuid().is_root() {
            std::fs::write(of("setgroups"), "deny")?;
        }
        std::fs::write(of("gid_map"), format!("{GUEST} {group} 1"))?;
        std::fs::write(of("uid_map"), format!("{GUEST} {user} 1"))
    }

    /// What its relay is asked for, if it has one, once it is open.
    pub(crate) fn relay(&self, host: &Host) -> io::Result<Option<Order>> {
        let Some((reach, pid)) = self.reach.as_ref().zip(host.pid) else { return Ok(None) };
        let host = pid.as_raw_nonzero().get();
        let user = self.own_user.then(|| own_user(&format!("/proc/{host}/ns/user"))).transpose()?;
        Ok(Some(Order { host, user, reach: reach.clone() }))
    }

    /// What of its own it has, as flags.
    pub(crate) const fn namespaces(&self) -> c_int {
        self.namespaces
    }

    /// Makes it, in a child that is in its namespaces. On failure the number for [`Room::step`], with `errno` set.
    ///
    /// # Safety
    /// To be called in a fresh child only.
    pub(crate) unsafe fn make(&self) -> Result<(), usize> {
        // SAFETY: as promised by the caller.
        unsafe { act::make(self) }
    }

    /// What failed, for people.
    pub(crate) fn step(&self, number: usize) -> String {
        act::step(&self.things, number)
    }
}

/// The user that is a room's alone, by its namespace.
fn own_user(namespace: &str) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let number = std::fs::metadata(namespace)?.ino().checked_sub(FIRST_NAMESPACE);
    let number = number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number < USERS);
    let unknown = || io::Error::other("its user namespace has a number of an unknown kind");
    number.map(|number| FIRST_USER + number).ok_or_else(unknown)
}

impl Host {
    /// Enters these namespaces of its: the caller's children are born in them. In a child only.
    ///
    /// # Safety
    /// To be called in a fresh child only.
    pub(crate) unsafe fn enter(fd: c_int, namespaces: c_int) -> c_int {
        // SAFETY: a system call on numbers.
        unsafe { libc::setns(fd, namespaces) }
    }

    /// Its descriptor.
    pub(crate) fn fd(&self) -> c_int {
        self.fd.as_fd().as_raw_fd()
    }

    /// Leaves it to whoever keeps its number.
    pub(crate) fn keep(mut self) -> Option<Pid> {
        self.pid.take()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        }
    }
}
