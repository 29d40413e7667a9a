//! Making a child that shares our memory until it executes, by `clone3(2)`.
//!
//! As `posix_spawn` does it (`CLONE_VM | CLONE_VFORK`): the cost doesn't grow with the parent, and a failure is told
//! through memory. The C library has no function for `clone3` with a stack of its own, hence the few instructions.

#![expect(unsafe_code, reason = "a system call that returns twice, on two stacks")]

use std::arch::asm;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::{c_long, clone_args};
use rustix::process::Pid;

/// The stack of a child.
const STACK: usize = 32 << 10;

/// What a child begins with.
pub(crate) type Entry = unsafe extern "C" fn(*mut c_void) -> !;

/// How a child is made.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Birth<'a> {
    /// Flags of `clone3`, beside those that share memory until it executes.
    pub flags: c_int,
    /// The v2 cgroup that it is born in.
    pub group: Option<BorrowedFd<'a>>,
}

impl Birth<'_> {
    /// Makes it, and returns when it has executed or ended.
    ///
    /// # Safety
    /// `entry` must be content with `arg`, call nothing but system calls, and never touch what the parent's other threads
    /// may use. All signals must be blocked.
    pub(crate) unsafe fn child(&self, entry: Entry, arg: *mut c_void) -> io::Result<(Pid, OwnedFd)> {
        // u128: the stack pointer must be aligned to 16
        let mut stack = vec![0u128; STACK / size_of::<u128>()];
        let mut pidfd: c_int = -1;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | self.flags;
        let flags = u64::from(flags.cast_unsigned());
        // SAFETY: all of it are numbers, for which zero is "none".
        let mut args: clone_args = unsafe { std::mem::zeroed() };
        args.pidfd = (&raw mut pidfd) as u64;
        args.stack = stack.as_mut_ptr() as u64;
        args.stack_size = STACK as u64;
        // A sibling ends with the signal that its maker ends with.
        let sibling = self.flags & libc::CLONE_PARENT != 0;
        args.exit_signal = if sibling { 0 } else { u64::from(libc::SIGCHLD.cast_unsigned()) };
        args.flags = flags;
        if let Some(group) = self.group {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = u64::try_from(group.as_raw_fd()).unwrap_or_default();
        }
        // SAFETY: the stack is the child's alone and outlives its use, since CLONE_VFORK keeps us here until then.
        let pid = unsafe { clone3(&raw mut args, entry, arg) };
        let failed = || io::Error::from_raw_os_error(i32::try_from(-pid).unwrap_or(libc::EIO));
        let id = i32::try_from(pid).ok().filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or_else(failed)?;
        // SAFETY: the kernel has just opened it for us.
        Ok((id, unsafe { OwnedFd::from_raw_fd(pidfd) }))
    }
}

/// `linux/sched.h`; no `c_int` holds it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// `clone3`, whose child runs `entry(arg)` on the stack in `args`. The negative `errno` on failure.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: *mut clone_args, entry: Entry, arg: *mut c_void) -> c_long {
    let result: c_long;
    // SAFETY: the parent goes on behind the block with no register changed that isn't named; the child never does.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") args,
            in("rsi") size_of::<clone_args>(),
            in("r12") arg,
            in("r13") entry,
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: *mut clone_args, entry: Entry, arg: *mut c_void) -> c_long {
    let result: c_long;
    // SAFETY: as above.
    unsafe {
        asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            inlateout("x0") args => result,
            in("x1") size_of::<clone_args>(),
            in("x8") libc::SYS_clone3,
            in("x20") arg,
            in("x21") entry,
        );
    }
    result
}
