//! Newer files for a room whose workload runs on.
//!
//! A child of ours enters the room, writes them beside those that are there, and changes places: each folder right below
//! `/run` is the new one from one moment to the next. What was there is removed. Nothing is mounted, so that what Landlock
//! knows of `/run` stays true; and the workload can't interfere, for there `/run` can't be written to, and the child isn't seen.

#![expect(unsafe_code, reason = "a child that shares our memory can only be written in system calls")]

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Component, Path};
use std::ptr;

use rustix::process::WaitOptions;

use super::super::{Bound, GUEST, Lack};
use super::act;
use super::layout::{RUN, text};
use crate::clone::Birth;
use crate::launch::Quiet;

/// Where they are written, in `/run`.
const STAGING: &CStr = c".new";
/// The deepest folder.
const MAX_DEPTH: usize = 4;
/// For names of a folder, read a few at a time.
const NAMES: usize = 1024;

/// All of it, laid out before the child exists.
pub(crate) struct Renewal {
    /// Folders, parents first; relative to `/run`, as all paths here.
    folders: Vec<CString>,
    files: Vec<(OwnedFd, CString)>,
    /// The folders that change places: where they are written, where they belong.
    tops: Vec<(CString, CString)>,
}

/// What the child is told, and tells.
struct Task<'a> {
    process: c_int,
    run: CString,
    renewal: &'a Renewal,
    /// Told back: what failed, and why.
    step: c_int,
    errno: c_int,
}

impl Renewal {
    /// Lays it out.
    pub(crate) fn plan(bound: Vec<Bound>) -> Result<Self, Lack> {
        let mut folders = BTreeSet::new();
        let (mut files, mut tops) = (Vec::new(), BTreeSet::new());
        for Bound { name, content } in bound {
            let path = Path::new(&name);
            let parts: Vec<_> = path.components().collect();
            let plain = parts.iter().all(|part| matches!(part, Component::Normal(_)));
            if !plain || !(2..=MAX_DEPTH).contains(&parts.len()) || name.ends_with('/') {
                return Err(Lack::Refused(format!("a file can't be called {name:?}")));
            }
            folders.extend(
                path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned),
            );
            tops.extend(path.iter().next().map(Path::new).map(Path::to_owned));
            files.push((content, staged(path)?));
        }
        let tops = tops.iter().map(|top| Ok((staged(top)?, text(top.as_os_str().as_encoded_bytes())?)));
        Ok(Self {
            folders: folders.iter().map(|path| staged(path)).collect::<Result<_, Lack>>()?,
            files,
            tops: tops.collect::<Result<_, Lack>>()?,
        })
    }

    /// Does it, in the room of this process. On an error all is as it was, unless it says that something old is left.
    pub(crate) fn put(&self, process: BorrowedFd<'_>) -> io::Result<()> {
        let run = text(RUN.as_bytes()).map_err(|lack| io::Error::other(lack.to_string()))?;
        let mut task = Task { process: process.as_raw_fd(), run, renewal: self, step: 0, errno: 0 };
        let quiet = Quiet::begin();
        // It stays in our cgroup: in the workload's it could be made to wait, and we with it.
        let birth = Birth::default();
        // SAFETY: `child` makes system calls only, on a task that stays valid until it ended.
        let (pid, _) = unsafe { birth.child(child, (&raw mut task).cast::<c_void>()) }?;
        rustix::process::waitpid(Some(pid), WaitOptions::empty())?;
        drop(quiet);
        let what = match task.step {
            0 => return Ok(()),
            1 => "enter its room",
            2 => "open /run in it",
            3 => "write them",
            4 => "put them in their places",
            _ => "remove what was there before",
        };
        let error = io::Error::from_raw_os_error(task.errno);
        Err(io::Error::new(error.kind(), format!("{what}: {error}")))
    }
}

fn staged(path: &Path) -> Result<CString, Lack> {
    text(Path::new(STAGING.to_str().unwrap_or_default()).join(path).as_os_str().as_encoded_bytes())
}

/// The child's whole life.
unsafe extern "C" fn child(task: *mut c_void) -> ! {
    // SAFETY: `Renewal::put` passes a Task that stays valid until we are gone, and waits until then.
    unsafe {
        let task = &mut *task.cast::<Task<'_>>();
        if let Err(step) = renew(task) {
            task.errno = *libc::__errno_location();
            task.step = step;
        }
        libc::_exit(0)
    }
}

/// On an error the number of what failed, with `errno` set.
unsafe fn renew(task: &Task<'_>) -> Result<(), c_int> {
    // SAFETY: system calls on values of the task; none allocates or takes a lock.
    unsafe {
        let Renewal { folders, files, tops } = task.renewal;
        must(libc::setns(task.process, libc::CLONE_NEWUSER | libc::CLONE_NEWNS), 1)?;
        // Refused where only root could do it: then there are none but its own.
        libc::syscall(libc::SYS_setgroups, 0, ptr::null::<u32>());
        must(call(libc::syscall(libc::SYS_setresgid, GUEST, GUEST, GUEST)), 1)?;
        must(call(libc::syscall(libc::SYS_setresuid, GUEST, GUEST, GUEST)), 1)?;
        libc::umask(0);
        // The same file system once more, for us alone and to be written to.
        let run = act::writable(&task.run);
        must(run, 2)?;
        // What a child that was killed has left.
        must(remove(run, STAGING, 0), 5)?;
        let written = write(run, folders, files);
        if written < 0 {
            return failed(run, 3);
        }
        for (number, (new, old)) in tops.iter().enumerate() {
            if exchange(run, new, old) < 0 {
                let errno = *libc::__errno_location();
                for (new, old) in tops.iter().take(number) {
                    exchange(run, new, old);
                }
                *libc::__errno_location() = errno;
                return failed(run, 4);
            }
        }
        must(remove(run, STAGING, 0), 5)
    }
}

/// Removes what was written, keeping `errno`.
unsafe fn failed(run: c_int, step: c_int) -> Result<(), c_int> {
    // SAFETY: as in `renew`.
    unsafe {
        let errno = *libc::__errno_location();
        remove(run, STAGING, 0);
        *libc::__errno_location() = errno;
    }
    Err(step)
}

unsafe fn write(run: c_int, folders: &[CString], files: &[(OwnedFd, CString)]) -> c_int {
    // SAFETY: as in `renew`.
    unsafe {
        let made = libc::mkdirat(run, STAGING.as_ptr(), 0o700) >= 0
            && folders.iter().all(|folder| libc::mkdirat(run, folder.as_ptr(), 0o755) >= 0)
            && files.iter().all(|(from, path)| act::copy(from.as_raw_fd(), run, path) >= 0);
        if made { 0 } else { -1 }
    }
}

unsafe fn exchange(run: c_int, new: &CStr, old: &CStr) -> c_int {
    let (new, old, flags) = (new.as_ptr(), old.as_ptr(), libc::RENAME_EXCHANGE);
    // SAFETY: paths that end with zero.
    call(unsafe { libc::syscall(libc::SYS_renameat2, run, new, run, old, flags) })
}

/// Removes a folder and all that is in it; none is no error.
unsafe fn remove(at: c_int, name: &CStr, depth: usize) -> c_int {
    // SAFETY: as in `renew`; the kernel fills the buffer with whole entries.
    unsafe {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let folder = libc::openat(at, name.as_ptr(), flags);
        if folder < 0 {
            return match *libc::__errno_location() {
                libc::ENOENT => 0,
                libc::ENOTDIR => libc::unlinkat(at, name.as_ptr(), 0),
                _ => -1,
            };
        }
        let mut names = [0_u64; NAMES / size_of::<u64>()];
        loop {
            // From the beginning each time: what was read before is gone.
            libc::lseek(folder, 0, libc::SEEK_SET);
            let count = libc::syscall(libc::SYS_getdents64, folder, names.as_mut_ptr(), NAMES);
            match remove_listed(folder, names.as_ptr().cast(), count, depth) {
                0 => break,
                removed if removed > 0 => {}
                _ => {
                    libc::close(folder);
                    return -1;
                }
            }
        }
        libc::close(folder);
        libc::unlinkat(at, name.as_ptr(), libc::AT_REMOVEDIR)
    }
}

/// Removes what a listing of a folder names; how many that were.
unsafe fn remove_listed(folder: c_int, names: *const u8, bytes: i64, depth: usize) -> c_int {
    let Ok(bytes) = usize::try_from(bytes) else { return -1 };
    let (mut at, mut removed) = (0, 0);
    // SAFETY: `struct linux_dirent64`: its length stands at 16, its name, which ends with zero, at 19.
    unsafe {
        while at < bytes {
            let entry = names.add(at);
            at += usize::from(entry.add(16).cast::<u16>().read_unaligned());
            let name = CStr::from_ptr(entry.add(19).cast());
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if depth > MAX_DEPTH || remove(folder, name, depth + 1) < 0 {
                return -1;
            }
            removed += 1;
        }
    }
    removed
}

const fn must(result: c_int, step: c_int) -> Result<(), c_int> {
    if result < 0 { Err(step) } else { Ok(()) }
}

fn call(result: libc::c_long) -> c_int {
    c_int::try_from(result).unwrap_or(-1)
}
