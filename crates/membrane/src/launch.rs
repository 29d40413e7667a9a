//! Starts one program: the only place where a child is made.
//!
//! The child shares the keeper's memory until it executes, so that the cost doesn't grow with the keeper and a failure
//! is told through memory. What a child gets is stated here and nowhere else: a session of its own, `/dev/null` as
//! standard input, two pipes, no other descriptor, no blocked or ignored signal, umask 022, no core dumps, the environment
//! as given; and its skin.

#![expect(unsafe_code, reason = "a child between clone and execve can only be written in system calls")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use rustix::process::{Pid, Resource, Rlimit, WaitOptions};

use crate::clone::Birth;
use crate::relay::Relay;
use crate::skin::{Grown, Host, Room};

/// How many descriptors a workload may open that says nothing, unless there are fewer to give: more than a server needs,
/// less than what makes programs that walk all of them slow.
const NOFILE: u64 = 65_536;
/// Where the executable stands while it is executed; a script finds itself there, at `/dev/fd/3`.
const PROGRAM_FD: c_int = 3;

/// How readily the kernel kills this process when memory runs out; children inherit it (`proc(5)`).
const OOM_SCORE: &str = "/proc/self/oom_score_adj";

/// What to execute.
#[derive(Debug)]
pub(crate) enum Program<'a> {
    /// The very file behind this descriptor. A script (`#!`) keeps it open, since its interpreter
    /// opens it again as `/dev/fd/3`.
    Descriptor(BorrowedFd<'a>),
    /// What the path leads to.
    Path,
}

/// One start.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub program: Program<'a>,
    /// The path of the program, or what it is called.
    pub path: CString,
    pub argv: Vec<CString>,
    pub envp: Vec<CString>,
    pub cwd: CString,
    pub stdio: [BorrowedFd<'a>; 3],
    /// What confines it; without one it may do what the keeper may.
    pub skin: Option<&'a Grown>,
    /// The v2 cgroup that it is born in.
    pub group: Option<BorrowedFd<'a>>,
    /// Files that a process joins a v1 cgroup by, when it writes `0` to them.
    pub joins: &'a [BorrowedFd<'a>],
    /// How many descriptors it may open; 0 for as many as is usual.
    pub open_files: u32,
}

/// What was started: up to three children of the caller.
#[derive(Debug)]
pub(crate) struct Started {
    pub pid: Pid,
    /// Process 1 of its room.
    pub host: Option<Pid>,
    /// The relay of its room's network.
    pub relay: Option<Pid>,
}

/// What a child was doing when it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The process could not be made.
    Clone,
    /// The session, the descriptors, the limits.
    Prepare,
    /// The room; what of it.
    Room(String),
    /// The relay of its network.
    Relay,
    /// The working directory.
    Enter,
    /// What confines it.
    Confine,
    /// The program itself.
    Execute,
}

/// Why there is no process.
#[derive(Debug)]
pub(crate) struct Failed {
    pub step: Step,
    pub error: io::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Step::Room(what) => write!(f, "{what}: {}", self.error),
            step => write!(f, "{step:?}: {}", self.error),
        }
    }
}

/// Everything the children read, laid out before they exist: they may not allocate.
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
    joins: Vec<c_int>,
    /// Whether the kernel spares the keeper when memory runs out; its children it should not.
    spared: bool,
    /// Process 1 of the room.
    host: c_int,
    /// Its namespaces.
    namespaces: c_int,
    /// Told back: the process; the step and `errno` of a failure, and what of the room it was about.
    pid: AtomicI32,
    step: AtomicI32,
    errno: AtomicI32,
    thing: AtomicUsize,
}

impl Launch<'_> {
    /// Starts it. On an error there is no process.
    pub fn start(&self) -> Result<Started, Failed> {
        let open_files = match self.open_files {
            0 => most_files().min(NOFILE),
            asked => asked.into(),
        };
        let mut plan = Plan {
            program: if let Program::Descriptor(fd) = &self.program { fd.as_raw_fd() } else { -1 },
            script: matches!(&self.program, Program::Descriptor(fd) if is_script(*fd)),
            path: self.path.as_ptr(),
            argv: pointers(&self.argv),
            envp: pointers(&self.envp),
            cwd: self.cwd.as_ptr(),
            stdio: self.stdio.map(|fd| fd.as_raw_fd()),
            nofile: libc::rlimit { rlim_cur: open_files, rlim_max: open_files },
            skin: self.skin.map_or(ptr::null(), ptr::from_ref),
            joins: self.joins.iter().map(AsRawFd::as_raw_fd).collect(),
            spared: std::fs::read(OOM_SCORE).is_ok_and(|score| score.starts_with(b"-")),
            host: -1,
            namespaces: 0,
            pid: AtomicI32::new(0),
            step: AtomicI32::new(0),
            errno: AtomicI32::new(0),
            thing: AtomicUsize::new(0),
        };
        let _quiet = Quiet::begin();
        match self.skin.and_then(|skin| skin.room.as_ref()) {
            None => {
                let pid = self.child(&plan, child)?;
                self.outcome(&plan, pid).map(|()| Started { pid, host: None, relay: None })
            }
            Some(room) => {
                let step = || Step::Room("make its namespaces".to_owned());
                let host =
                    room.open(&self.envp, self.group).map_err(|error| Failed { step: step(), error })?;
                let relay = self.relay(room, &host).map_err(|error| Failed { step: Step::Relay, error })?;
                plan.host = host.fd();
                plan.namespaces = room.namespaces();
                let stage = self.child(&plan, stage)?;
                let _ = rustix::process::waitpid(Some(stage), WaitOptions::empty());
                let pid = Pid::from_raw(plan.pid.load(Ordering::Relaxed));
                // Without a process it was the stage that failed.
                self.outcome(&plan, pid.unwrap_or(stage))?;
                let pid =
                    pid.ok_or_else(|| Failed { step: Step::Clone, error: io::Error::other("it is gone") })?;
                Ok(Started { pid, host: host.keep(), relay: relay.and_then(Relay::keep) })
            }
        }
    }

    fn relay(&self, room: &Room, host: &Host) -> io::Result<Option<Relay>> {
        let order = room.relay(host)?;
        order.map(|order| Relay::start(&order, self)).transpose()
    }

    fn child(&self, plan: &Plan, entry: unsafe extern "C" fn(*mut c_void) -> !) -> Result<Pid, Failed> {
        let arg = ptr::from_ref(plan).cast_mut().cast::<c_void>();
        let birth = Birth { flags: 0, group: self.group };
        // SAFETY: `entry` makes system calls only, on a plan that stays valid and unwritten, atomics apart.
        let made = unsafe { birth.child(entry, arg) };
        made.map(|(pid, _)| pid).map_err(|error| Failed { step: Step::Clone, error })
    }

    /// Whether the program was executed.
    fn outcome(&self, plan: &Plan, pid: Pid) -> Result<(), Failed> {
        let step = match plan.step.load(Ordering::Relaxed) {
            0 => return Ok(()),
            1 => Step::Prepare,
            2 => Step::Enter,
            3 => Step::Confine,
            4 => Step::Execute,
            5 => Step::Room("enter its namespaces".to_owned()),
            _ => {
                let thing = plan.thing.load(Ordering::Relaxed);
                let room = self.skin.and_then(|skin| skin.room.as_ref());
                Step::Room(room.map(|room| room.step(thing)).unwrap_or_default())
            }
        };
        let _ = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        Err(Failed { step, error: io::Error::from_raw_os_error(plan.errno.load(Ordering::Relaxed)) })
    }
}

/// While this lives, no signal is taken: no handler may run in a child that shares our memory.
pub(crate) struct Quiet {
    before: libc::sigset_t,
}

impl Quiet {
    pub(crate) fn begin() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: both sets are written before they are read.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self { before: before.assume_init() }
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // SAFETY: puts back what stood there.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// How many descriptors this process may give another.
pub(crate) fn most_files() -> u64 {
    let Rlimit { maximum, .. } = rustix::process::getrlimit(Resource::Nofile);
    maximum.unwrap_or(libc::RLIM_INFINITY)
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

fn is_script(fd: BorrowedFd<'_>) -> bool {
    let mut magic = [0; 2];
    rustix::io::pread(fd, &mut magic, 0) == Ok(2) && magic == *b"#!"
}

/// The life of the process between keeper and workload: it enters the room, and has the workload born there as the
/// keeper's own child.
unsafe extern "C" fn stage(plan: *mut c_void) -> ! {
    // SAFETY: `Launch::child` passes a Plan that stays valid until we are gone; system calls only.
    unsafe {
        let told = &*plan.cast::<Plan>();
        if !join(told) {
            fail(told, 1);
        }
        if Host::enter(told.host, told.namespaces) < 0 {
            fail(told, 5);
        }
        let birth = Birth { flags: libc::CLONE_PARENT, group: None };
        match birth.child(child, plan) {
            Ok((pid, fd)) => {
                told.pid.store(pid.as_raw_nonzero().get(), Ordering::Relaxed);
                std::mem::forget(fd);
            }
            Err(error) => {
                *libc::__errno_location() = error.raw_os_error().unwrap_or(libc::EIO);
                fail(told, 5);
            }
        }
        libc::_exit(0)
    }
}

/// The child's whole life before its program.
unsafe extern "C" fn child(plan: *mut c_void) -> ! {
    // SAFETY: as in `stage`; the child runs alone in its parent's memory.
    unsafe {
        let plan = &*plan.cast::<Plan>();
        let step = become_program(plan);
        fail(plan, step)
    }
}

/// Tells what failed, with `errno`, and ends.
unsafe fn fail(plan: &Plan, step: c_int) -> ! {
    plan.errno.store(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO), Ordering::Relaxed);
    plan.step.store(step, Ordering::Relaxed);
    // SAFETY: ends this process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

/// Joins its v1 cgroups.
unsafe fn join(plan: &Plan) -> bool {
    // SAFETY: descriptors of the parent's, and one byte.
    plan.joins.iter().all(|fd| unsafe { libc::write(*fd, c"0".as_ptr().cast(), 1) == 1 })
}

/// Lets the kernel choose this process when memory runs out, as it would any other.
unsafe fn expose() -> bool {
    // SAFETY: a file of its own, by a path that ends with a zero.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        let written = file >= 0 && libc::write(file, c"0".as_ptr().cast(), 1) == 1;
        libc::close(file);
        written
    }
}

/// Has it leave no core: a byte is too little for a file, and the sign to the kernel to feed no handler either, which it
/// would with 0 (`core(5)`). Where no more than 0 may be had, it is that.
unsafe fn no_core() -> bool {
    [1, 0].into_iter().any(|bytes| {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: a system call on a value that lives here.
        unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) == 0 }
    })
}

/// Returns only on failure: the number of the step, with `errno` set.
///
/// # Safety
/// To be called in a fresh child only: it changes the descriptors, limits and signals of the process.
/// All pointers in `plan` must be valid, the arrays ended by a null.
unsafe fn become_program(plan: &Plan) -> c_int {
    // SAFETY: system calls on values that the caller vouches for; none allocates or takes a lock.
    unsafe {
        if libc::setsid() < 0 || !no_core() || plan.host < 0 && !join(plan) {
            return 1;
        }
        if plan.spared && !expose() {
            return 1;
        }
        let skin = plan.skin.as_ref();
        if let Some(Err(thing)) = skin.and_then(|skin| skin.room.as_ref()).map(|room| room.make()) {
            plan.thing.store(thing, Ordering::Relaxed);
            return 6;
        }
        let Some(rules) = arrange(plan, skin.and_then(Grown::rules)) else { return 1 };
        libc::umask(0o022);
        // What the runtime ignores for itself; everything else the keeper has at its default.
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        if libc::chdir(plan.cwd) < 0 {
            return 2;
        }
        if skin.is_some_and(|skin| !skin.wear(rules)) {
            return 3;
        }
        // Only now: until here descriptors of the keeper's count, and more are opened.
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const plan.nofile) < 0 {
            return 1;
        }
        let (argv, envp) = (plan.argv.as_ptr(), plan.envp.as_ptr());
        if plan.program >= 0 {
            let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            libc::syscall(libc::SYS_execveat, PROGRAM_FD, empty, argv, envp, flags);
        } else {
            libc::execve(plan.path, argv, envp);
        }
        4
    }
}

/// Puts its descriptors where they belong and closes all others; where the rules are then. `None` on failure.
unsafe fn arrange(plan: &Plan, rules: Option<c_int>) -> Option<Option<c_int>> {
    // SAFETY: as in `become_program`.
    unsafe {
        // The keeper's own descriptors are all above 2 (it keeps 0 to 2 open), so none is lost here.
        for (target, source) in (0..).zip(plan.stdio) {
            if libc::dup2(source, target) < 0 {
                return None;
            }
        }
        // Out of the way of what is put in its place below.
        let rules = rules.map(|rules| libc::fcntl(rules, libc::F_DUPFD_CLOEXEC, PROGRAM_FD + 2));
        let mut first_closed = PROGRAM_FD;
        if plan.program >= 0 {
            let program = if plan.host < 0 { plan.program } else { same_inside(plan) };
            if program != PROGRAM_FD && libc::dup2(program, PROGRAM_FD) < 0 {
                return None;
            }
            let flags = if plan.script { 0 } else { libc::FD_CLOEXEC };
            libc::fcntl(PROGRAM_FD, libc::F_SETFD, flags);
            first_closed += 1;
        }
        let rules = match rules {
            None => None,
            Some(rules) => {
                if libc::dup2(rules, first_closed) < 0 {
                    return None;
                }
                libc::fcntl(first_closed, libc::F_SETFD, libc::FD_CLOEXEC);
                first_closed += 1;
                Some(first_closed - 1)
            }
        };
        // Before Linux 5.9 this fails and changes nothing: everything else is CLOEXEC anyhow.
        libc::syscall(libc::SYS_close_range, first_closed, c_int::MAX, 0);
        Some(rules)
    }
}

/// The same file as the room shows it, so that the program finds its own path in `/proc/self/exe`; else the one given.
unsafe fn same_inside(plan: &Plan) -> c_int {
    // SAFETY: as in `become_program`; both structures are written before they are read.
    unsafe {
        let inside = libc::open(plan.path, libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK);
        let (mut here, mut there) =
            (MaybeUninit::<libc::stat>::uninit(), MaybeUninit::<libc::stat>::uninit());
        if inside < 0
            || libc::fstat(inside, here.as_mut_ptr()) < 0
            || libc::fstat(plan.program, there.as_mut_ptr()) < 0
        {
            return plan.program;
        }
        let (here, there) = (here.assume_init(), there.assume_init());
        if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino) { inside } else { plan.program }
    }
}
