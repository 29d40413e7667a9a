//! Putting it on: the last thing that a child does before it becomes the program.

#![expect(unsafe_code, reason = "a child between clone and execve can only be written in system calls")]

use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr;

use libc::{c_int, c_ulong};
use seccompiler::sock_filter;

use super::files::Rules;
use super::room::Room;

/// Everything that the child needs, laid out before it exists: it may not allocate.
#[derive(Debug)]
pub(crate) struct Grown {
    rules: Option<Rules>,
    filter: &'static [sock_filter],
    /// Where it lives.
    pub room: Option<Room>,
}

/// `struct landlock_path_beneath_attr` (`linux/landlock.h`).
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: c_int,
}

/// `struct sock_fprog` (`linux/filter.h`).
#[repr(C)]
struct Program {
    len: u16,
    filter: *const sock_filter,
}

/// `struct __user_cap_header_struct`, version 3 (`linux/capability.h`).
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// Asks for the version instead of making rules (`linux/landlock.h`).
const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
/// A rule for what is below a folder (`linux/landlock.h`).
const PATH_BENEATH: c_int = 1;
/// The version that knows 64 capabilities.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
/// No capability: effective, permitted, inheritable, for 32 each.
const NO_CAPABILITIES: [[u32; 3]; 2] = [[0; 3]; 2];

impl Grown {
    pub(super) const fn new(
        rules: Option<Rules>,
        filter: &'static [sock_filter],
        room: Option<Room>,
    ) -> Self {
        Self { rules, filter, room }
    }

    /// A room and nothing else, to try it.
    pub(super) const fn bare(room: Room) -> Self {
        Self { rules: None, filter: &[], room: Some(room) }
    }

    /// The rules' descriptor, which must stay open until they are worn.
    pub(crate) fn rules(&self) -> Option<c_int> {
        self.rules.as_ref().map(|rules| rules.set.as_raw_fd())
    }

    /// Puts it on. Returns only whether it is on, with `errno` set if not; then the program must not be executed.
    ///
    /// # Safety
    /// To be called in a fresh child only, in its room: what it takes from the process it can't give back. `rules` must be
    /// the descriptor of [`Grown::rules`] or a copy of it.
    pub(crate) unsafe fn wear(&self, rules: Option<c_int>) -> bool {
        let Ok(len) = u16::try_from(self.filter.len()) else { return false };
        let filter = Program { len, filter: self.filter.as_ptr() };
        // SAFETY: system calls on values that live here; none allocates or takes a lock.
        unsafe {
            if !rules.is_none_or(|rules| self.open(rules)) {
                return false;
            }
            drop_capabilities()
                && rules.is_none_or(|rules| libc::syscall(libc::SYS_landlock_restrict_self, rules, 0) == 0)
                && (len == 0
                    || libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter)
                        == 0)
        }
    }

    /// Adds the rules for paths, as they lead from here.
    unsafe fn open(&self, set: c_int) -> bool {
        let flags = libc::O_PATH | libc::O_CLOEXEC;
        self.rules.iter().flat_map(|rules| &rules.paths).all(|rule| {
            // SAFETY: as in `wear`.
            unsafe {
                let parent = libc::open(rule.path.as_ptr(), flags);
                let add = |allowed| {
                    let beneath = Beneath { allowed, parent };
                    let beneath = &raw const beneath;
                    libc::syscall(libc::SYS_landlock_add_rule, set, PATH_BENEATH, beneath, 0) == 0
                };
                // What is for folders alone isn't taken for a file.
                let added = parent >= 0
                    && (add(rule.below)
                        || rule.file != rule.below
                            && *libc::__errno_location() == libc::EINVAL
                            && add(rule.file));
                if added {
                    libc::close(parent);
                }
                added
            }
        })
    }
}

/// Takes all capabilities and the ways to new ones; false, with `errno`, where that can't be done.
///
/// # Safety
/// To be called in a fresh child only: what it takes can't be given back.
pub(crate) unsafe fn drop_capabilities() -> bool {
    let header = CapabilityHeader { version: CAPABILITY_VERSION_3, pid: 0 };
    // SAFETY: system calls on values that live here.
    unsafe {
        // Without the right to drop them from the bounding set there are none to gain: see the next but one.
        for capability in 0..64 as c_ulong {
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                break;
            }
        }
        libc::syscall(libc::SYS_capset, &raw const header, NO_CAPABILITIES.as_ptr()) == 0
            && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1 as c_ulong, 0, 0, 0) == 0
    }
}

/// Which version of Landlock the kernel has.
pub(super) fn landlock_version() -> io::Result<i32> {
    let none = ptr::null::<libc::c_void>();
    // SAFETY: without attributes it only answers.
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, LANDLOCK_CREATE_RULESET_VERSION)
    };
    i32::try_from(version).ok().filter(|version| *version >= 0).ok_or_else(io::Error::last_os_error)
}
