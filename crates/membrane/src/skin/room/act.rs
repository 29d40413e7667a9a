//! Making a room, by the first process in it: nothing but system calls on what was laid out before.

#![expect(unsafe_code, reason = "a child between clone and execve can only be written in system calls")]

use std::ffi::{CStr, CString, c_char, c_int, c_long};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::ptr;

use libc::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY};

use super::{GUEST, Room};

// linux/mount.h
const OPEN_TREE_CLONE: c_int = 1;
const MOVE_MOUNT_F_EMPTY_PATH: c_int = 4;
const FSCONFIG_SET_STRING: c_int = 1;
const FSCONFIG_CMD_CREATE: c_int = 6;
const AT_RECURSIVE: c_int = 0x8000;

/// One thing that stands in the new root. All paths are relative to it, unless said otherwise.
#[derive(Debug)]
pub(super) enum Thing {
    /// A folder.
    Folder(CString),
    /// A file of these bytes.
    File(CString, Vec<u8>),
    /// A link to a path.
    Link(CString, CString),
    /// A file or folder of the machine, or of the room itself.
    Tree { from: From, at: CString, may: May },
    /// A file of what stands in another, for the guest alone.
    Copy(OwnedFd, CString),
    /// Nothing is written below it from now on.
    Fixed(CString),
    /// A file system of its own: its kind, its options.
    System { kind: &'static CStr, options: Vec<(&'static CStr, CString)>, at: CString, may: May },
}

/// Where a tree comes from.
#[derive(Debug)]
pub(super) enum From {
    /// Taken out of the machine's tree beforehand.
    Taken(OwnedFd),
    /// An absolute path of the machine's, which the guest itself may reach.
    Machine(CString),
    /// A path of the room; none is no error.
    Room(CString),
}

/// What may be done in a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    /// Reading, and running programs.
    Read,
    /// Everything but using devices.
    Write,
    /// Writing, and running nothing.
    Keep,
    /// Using it, as it is a device.
    Use,
}

impl May {
    /// Mount attributes (`mount_setattr(2)`).
    const fn attributes(self) -> u64 {
        match self {
            Self::Read => MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,
            Self::Write => MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID,
            Self::Keep => MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
            Self::Use => MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
        }
    }
}

/// Makes the room and enters it. On failure the number of the thing that failed, with `errno` set; what isn't a thing
/// has the number of things or more.
///
/// # Safety
/// To be called in a fresh child only, in its new namespaces.
pub(super) unsafe fn make(room: &Room) -> Result<(), usize> {
    let first = room.things.len();
    // SAFETY: system calls on values that `room` owns; none allocates or takes a lock.
    unsafe {
        libc::umask(0);
        let none = ptr::null::<c_char>();
        let private = libc::MS_REC | libc::MS_PRIVATE;
        must(libc::mount(none, c"/".as_ptr(), none, private, ptr::null()), first)?;
        if room.own_user {
            must(c_int_of(libc::syscall(libc::SYS_setgroups, 0, ptr::null::<u32>())), first + 1)?;
        }
        must(c_int_of(libc::syscall(libc::SYS_setresgid, GUEST, GUEST, GUEST)), first + 1)?;
        must(c_int_of(libc::syscall(libc::SYS_setresuid, GUEST, GUEST, GUEST)), first + 1)?;
        let name = room.host_name.as_bytes();
        must(libc::sethostname(name.as_ptr().cast(), name.len()), first + 2)?;
        let root = system(c"tmpfs", &room.options, May::Keep);
        must(root, first + 3)?;
        // A folder that is on every machine. What was there is gone from this namespace alone.
        must(attach(root, libc::AT_FDCWD, c"/proc"), first + 3)?;
        for (number, thing) in room.things.iter().enumerate() {
            must(put(root, thing), number)?;
        }
        must(restrict(root, 0, May::Keep.attributes() | MOUNT_ATTR_RDONLY), first + 3)?;
        must(libc::fchdir(root), first + 4)?;
        let here = c".".as_ptr();
        must(c_int_of(libc::syscall(libc::SYS_pivot_root, here, here)), first + 4)?;
        // The old root lies over the new one now.
        must(libc::umount2(here, libc::MNT_DETACH), first + 4)?;
        must(libc::chdir(c"/".as_ptr()), first + 4)
    }
}

/// What `make` was about, by the number that it gave.
pub(super) fn step(things: &[Thing], number: usize) -> String {
    let text = |path: &CString| path.to_string_lossy().into_owned();
    match things.get(number) {
        Some(Thing::Folder(path) | Thing::File(path, _) | Thing::Link(path, _)) => {
            format!("put /{} into it", text(path))
        }
        Some(Thing::Copy(_, path)) => format!("put /{} into it", text(path)),
        Some(Thing::Tree { at, .. } | Thing::System { at, .. } | Thing::Fixed(at)) => {
            format!("mount /{} in it", text(at))
        }
        None => match number - things.len() {
            0 => "take mounts for its own",
            1 => "become its guest",
            2 => "name it",
            3 => "mount its root",
            _ => "enter it",
        }
        .to_owned(),
    }
}

const fn must(result: c_int, number: usize) -> Result<(), usize> {
    if result < 0 { Err(number) } else { Ok(()) }
}

fn c_int_of(result: c_long) -> c_int {
    c_int::try_from(result).unwrap_or(-1)
}

/// Puts one thing in its place.
unsafe fn put(root: c_int, thing: &Thing) -> c_int {
    // SAFETY: as in `make`.
    unsafe {
        match thing {
            Thing::Folder(path) => libc::mkdirat(root, path.as_ptr(), 0o755),
            Thing::Link(path, to) => libc::symlinkat(to.as_ptr(), root, path.as_ptr()),
            Thing::File(path, bytes) => {
                let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
                let file = libc::openat(root, path.as_ptr(), flags, 0o444);
                if file < 0 || bytes.is_empty() {
                    libc::close(file);
                    return file;
                }
                let written = libc::write(file, bytes.as_ptr().cast(), bytes.len());
                libc::close(file);
                if usize::try_from(written) == Ok(bytes.len()) { 0 } else { -1 }
            }
            Thing::Copy(from, path) => copy(from.as_raw_fd(), root, path),
            Thing::Fixed(at) => {
                let tree = open_tree(root, at, libc::O_CLOEXEC);
                if tree < 0 { tree } else { restrict(tree, 0, May::Keep.attributes() | MOUNT_ATTR_RDONLY) }
            }
            Thing::Tree { from, at, may } => {
                let recursive = libc::O_CLOEXEC | OPEN_TREE_CLONE | AT_RECURSIVE;
                let (tree, optional) = match from {
                    From::Taken(tree) => (tree.as_raw_fd(), false),
                    From::Machine(path) => (open_tree(libc::AT_FDCWD, path, recursive), false),
                    From::Room(path) => (open_tree(root, path, recursive), true),
                };
                if tree < 0 {
                    return if optional { 0 } else { -1 };
                }
                let done = restrict(tree, AT_RECURSIVE, may.attributes());
                if done < 0 { done } else { attach(tree, root, at) }
            }
            Thing::System { kind, options, at, may } => {
                let mount = system(kind, options, *may);
                if mount < 0 { mount } else { attach(mount, root, at) }
            }
        }
    }
}

/// A file that the guest may read and nobody else.
pub(super) unsafe fn copy(from: c_int, root: c_int, path: &CStr) -> c_int {
    // SAFETY: as in `make`.
    unsafe {
        let flags = libc::O_CREAT | libc::O_EXCL | libc::O_WRONLY | libc::O_CLOEXEC;
        let file = libc::openat(root, path.as_ptr(), flags, 0o400);
        if file < 0 {
            return file;
        }
        let mut offset = 0;
        loop {
            match libc::sendfile(file, from, &raw mut offset, 1 << 20) {
                0 => break libc::close(file),
                count if count < 0 => break -1,
                _ => {}
            }
        }
    }
}

unsafe fn open_tree(at: c_int, path: &CStr, flags: c_int) -> c_int {
    // SAFETY: a path that ends with zero.
    c_int_of(unsafe { libc::syscall(libc::SYS_open_tree, at, path.as_ptr(), flags) })
}

/// Takes a tree out of the machine's, for somebody else's namespace.
pub(super) fn take(path: &CStr) -> std::io::Result<OwnedFd> {
    use std::os::fd::FromRawFd as _;
    let flags = libc::O_CLOEXEC | OPEN_TREE_CLONE | AT_RECURSIVE;
    // SAFETY: a path that ends with zero, and a descriptor that is new.
    unsafe {
        match open_tree(libc::AT_FDCWD, path, flags) {
            fd if fd < 0 => Err(std::io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// What is mounted there once more, mounted nowhere, and to be written to.
pub(super) unsafe fn writable(path: &CStr) -> c_int {
    let attributes =
        libc::mount_attr { attr_set: 0, attr_clr: MOUNT_ATTR_RDONLY, propagation: 0, userns_fd: 0 };
    // SAFETY: a path that ends with zero, and a structure of the size that is told.
    unsafe {
        let tree = open_tree(libc::AT_FDCWD, path, libc::O_CLOEXEC | OPEN_TREE_CLONE);
        if tree < 0 {
            return tree;
        }
        let (empty, size) = (c"".as_ptr(), size_of_val(&attributes));
        let flags = libc::AT_EMPTY_PATH;
        let done = libc::syscall(libc::SYS_mount_setattr, tree, empty, flags, &raw const attributes, size);
        if done < 0 { -1 } else { tree }
    }
}

unsafe fn attach(mount: c_int, root: c_int, at: &CStr) -> c_int {
    let (empty, flags) = (c"".as_ptr(), MOVE_MOUNT_F_EMPTY_PATH);
    // SAFETY: paths that end with zero.
    c_int_of(unsafe { libc::syscall(libc::SYS_move_mount, mount, empty, root, at.as_ptr(), flags) })
}

/// Takes rights from a mount, or a whole tree of them, and cuts it off from what is mounted elsewhere.
unsafe fn restrict(mount: c_int, recursive: c_int, attributes: u64) -> c_int {
    let attributes =
        libc::mount_attr { attr_set: attributes, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    let (flags, size) = (libc::AT_EMPTY_PATH | recursive, size_of_val(&attributes));
    // SAFETY: the structure has the size that is told.
    c_int_of(unsafe {
        let empty = c"".as_ptr();
        libc::syscall(libc::SYS_mount_setattr, mount, empty, flags, &raw const attributes, size)
    })
}

/// A new file system, mounted nowhere yet.
unsafe fn system(kind: &CStr, options: &[(&'static CStr, CString)], may: May) -> c_int {
    // SAFETY: texts that end with zero.
    unsafe {
        let system = c_int_of(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), 1));
        if system < 0 {
            return system;
        }
        for (name, value) in options {
            let (name, value) = (name.as_ptr(), value.as_ptr());
            if libc::syscall(libc::SYS_fsconfig, system, FSCONFIG_SET_STRING, name, value, 0) < 0 {
                return -1;
            }
        }
        let none = ptr::null::<c_char>();
        if libc::syscall(libc::SYS_fsconfig, system, FSCONFIG_CMD_CREATE, none, none, 0) < 0 {
            return -1;
        }
        c_int_of(libc::syscall(libc::SYS_fsmount, system, 1, may.attributes()))
    }
}

/// What process 1 of a room is told.
pub(super) struct Wait {
    pub program: c_int,
    pub envp: *const *const c_char,
    /// Told back: why it could not.
    pub errno: c_int,
}

/// The whole life of process 1 before its program.
///
/// # Safety
/// To be called in a fresh child only, with a [`Wait`] that lives until then.
pub(super) unsafe extern "C" fn host(wait: *mut std::ffi::c_void) -> ! {
    // SAFETY: as promised by the caller; system calls only.
    unsafe {
        let wait = &mut *wait.cast::<Wait>();
        let argv = [c"mesh-room".as_ptr(), ptr::null()];
        libc::setsid();
        // Ignored, so that the kernel reaps those who lost their parents.
        libc::signal(libc::SIGCHLD, libc::SIG_IGN);
        if libc::unshare(libc::CLONE_NEWCGROUP) == 0 {
            // The program is closed by executing it.
            for fd in 0..3 {
                libc::close(fd);
            }
            let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            libc::syscall(libc::SYS_execveat, wait.program, empty, argv.as_ptr(), wait.envp, flags);
        }
        wait.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}
