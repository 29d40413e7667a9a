//! Starts one program: the only place where a child is made.
//!
//! The child shares the keeper's memory until it executes (`CLONE_VM | CLONE_VFORK`, as `posix_spawn`
//! does it), so that the cost doesn't grow with the keeper and a failure is told through memory. What a
//! child gets is stated here and nowhere else: a session of its own, `/dev/null` as standard input, two
//! pipes, no other descriptor, no blocked or ignored signal, umask 022, the environment as given.

#![expect(unsafe_code, reason = "a child between clone and execve can only be written in system calls")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{Pid, Resource, Rlimit, WaitOptions};

use crate::skin::Grown;

/// The stack the child runs on until it executes.
const STACK: usize = 32 << 10;
/// How many descriptors a workload may open unless it raises its own limit (or the hard one is lower):
/// more than a server needs, less than what makes programs that walk all of them slow.
const NOFILE: u64 = 65_536;
/// Where the executable stands while it is executed; a script finds itself there, at `/dev/fd/3`.
const PROGRAM_FD: c_int = 3;

/// What to execute.
#[derive(Debug)]
pub(crate) enum Program<'a> {
    /// The very file behind this descriptor. A script (`#!`) keeps it open, since its interpreter
    /// opens it again as `/dev/fd/3`.
    Descriptor(BorrowedFd<'a>),
    /// What this path leads to.
    Path(CString),
}

/// One start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub program: Program<'a>,
    pub argv: Vec<CString>,
    pub envp: Vec<CString>,
    pub cwd: CString,
    pub stdin: BorrowedFd<'a>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    /// What confines it; without one it may do what the keeper may.
    pub skin: Option<&'a Grown>,
}

/// What a child was doing when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The process could not be made.
    Clone,
    /// The session, the descriptors, the limits.
    Prepare,
    /// The working directory.
    Enter,
    /// What confines it.
    Confine,
    /// The program itself.
    Execute,
}

/// Everything the child reads, laid out before it exists: it may not allocate.
struct Plan {
    program: c_int,
    script: bool,
    path: *const c_char,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    cwd: *const c_char,
    stdio: [c_int; 3],
    nofile: libc::rlimit,
    skin: *const Grown,
    /// Told back: the step and `errno` of a failure.
    step: AtomicI32,
    errno: AtomicI32,
}

impl Launch<'_> {
    /// Starts it. The process is the caller's child; on an error there is none.
    pub fn start(&self) -> Result<Pid, (Step, io::Error)> {
        let empty = c"".as_ptr();
        let (program, path) = match &self.program {
            Program::Descriptor(fd) => (fd.as_raw_fd(), empty),
            Program::Path(path) => (-1, path.as_ptr()),
        };
        let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
        let hard = maximum.unwrap_or(libc::RLIM_INFINITY);
        let plan = Plan {
            program,
            script: matches!(&self.program, Program::Descriptor(fd) if is_script(*fd)),
            path,
            argv: pointers(&self.argv),
            envp: pointers(&self.envp),
            cwd: self.cwd.as_ptr(),
            stdio: [self.stdin.as_raw_fd(), self.stdout.as_raw_fd(), self.stderr.as_raw_fd()],
            nofile: libc::rlimit { rlim_cur: hard.min(NOFILE), rlim_max: hard },
            skin: self.skin.map_or(ptr::null(), ptr::from_ref),
            step: AtomicI32::new(0),
            errno: AtomicI32::new(0),
        };
        let pid = clone_and_wait(&plan).map_err(|e| (Step::Clone, e))?;
        let step = match plan.step.load(Ordering::Relaxed) {
            0 => return Ok(pid),
            1 => Step::Prepare,
            2 => Step::Enter,
            3 => Step::Confine,
            _ => Step::Execute,
        };
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        Err((step, io::Error::from_raw_os_error(plan.errno.load(Ordering::Relaxed))))
    }
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

fn is_script(fd: BorrowedFd<'_>) -> bool {
    let mut magic = [0; 2];
    rustix::io::pread(fd, &mut magic, 0) == Ok(2) && magic == *b"#!"
}

/// Makes the child and returns when it has executed or failed.
fn clone_and_wait(plan: &Plan) -> io::Result<Pid> {
    // u128: the stack pointer must be aligned to 16
    let mut stack = vec![0u128; STACK / size_of::<u128>()];
    let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: both sets are written before they are read; all signals are blocked so that no handler
    // runs in the child while it shares our memory.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
    }
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let arg = ptr::from_ref(plan).cast_mut().cast::<c_void>();
    // SAFETY: the stack is ours and large enough for `child`, which calls nothing but system calls; it
    // ends at the top of the vector, aligned. CLONE_VFORK keeps this thread here until the child has
    // executed or ended, so that `plan`, what it points to and the stack outlive the child's use.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.len());
        libc::clone(child, top.cast::<c_void>(), flags, arg)
    };
    let error = io::Error::last_os_error();
    // SAFETY: the set was filled by the call above.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    Pid::from_raw(pid.max(0)).ok_or(error)
}

/// The child's whole life before its program.
extern "C" fn child(plan: *mut c_void) -> c_int {
    // SAFETY: `clone_and_wait` passes a Plan that stays valid and unwritten, atomics apart, until we are gone.
    let plan = unsafe { &*plan.cast::<Plan>() };
    // SAFETY: called in a child that runs alone in its parent's memory, as the function demands.
    let step = unsafe { become_program(plan) };
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    plan.errno.store(errno, Ordering::Relaxed);
    plan.step.store(step, Ordering::Relaxed);
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// Returns only on failure: the number of the step, with `errno` set.
///
/// # Safety
/// To be called in a fresh child only: it changes the descriptors, limits and signals of the process.
/// All pointers in `plan` must be valid, the arrays ended by a null.
unsafe fn become_program(plan: &Plan) -> c_int {
    // SAFETY: system calls on values that the caller vouches for; none allocates or takes a lock.
    unsafe {
        if libc::setsid() < 0 || libc::setrlimit(libc::RLIMIT_NOFILE, &raw const plan.nofile) < 0 {
            return 1;
        }
        // The keeper's own descriptors are all above 2 (it keeps 0 to 2 open), so none is lost here.
        for (target, source) in (0..).zip(plan.stdio) {
            if libc::dup2(source, target) < 0 {
                return 1;
            }
        }
        let skin = plan.skin.as_ref();
        // Out of the way of what is put in its place below.
        let rules = skin.map(|skin| libc::fcntl(skin.rules(), libc::F_DUPFD_CLOEXEC, PROGRAM_FD + 2));
        let mut first_closed = PROGRAM_FD;
        if plan.program >= 0 {
            if plan.program != PROGRAM_FD && libc::dup2(plan.program, PROGRAM_FD) < 0 {
                return 1;
            }
            let flags = if plan.script { 0 } else { libc::FD_CLOEXEC };
            libc::fcntl(PROGRAM_FD, libc::F_SETFD, flags);
            first_closed += 1;
        }
        if let Some(rules) = rules {
            if libc::dup2(rules, first_closed) < 0 {
                return 1;
            }
            libc::fcntl(first_closed, libc::F_SETFD, libc::FD_CLOEXEC);
            first_closed += 1;
        }
        // Before Linux 5.9 this fails and changes nothing: everything else is CLOEXEC anyhow.
        libc::syscall(libc::SYS_close_range, first_closed, c_int::MAX, 0);
        libc::umask(0o022);
        // What the runtime ignores for itself; everything else the keeper has at its default.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        if libc::chdir(plan.cwd) < 0 {
            return 2;
        }
        if let Some(skin) = skin
            && !skin.wear(first_closed - 1)
        {
            return 3;
        }
        let (argv, envp) = (plan.argv.as_ptr(), plan.envp.as_ptr());
        if plan.program >= 0 {
            let flags = libc::AT_EMPTY_PATH;
            libc::syscall(libc::SYS_execveat, PROGRAM_FD, plan.path, argv, envp, flags);
        } else {
            libc::execve(plan.path, argv, envp);
        }
        4
    }
}
