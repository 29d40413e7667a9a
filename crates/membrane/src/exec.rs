//! Running a command where a workload lives: its environment, its room if it has one, its working directory, our terminal.

#![expect(unsafe_code, reason = "signal dispositions have no safe binding here")]

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Command;

use crate::exit::Exit;
use crate::skin::{GUEST, Host, NAMESPACES, drop_capabilities};
use crate::{marker, procfs};

/// What a terminal sends to a whole foreground group: the command's to act upon while it runs.
const TERMINAL: [libc::c_int; 2] = [libc::SIGINT, libc::SIGQUIT];

/// Runs `argv` with the environment and in the working directory of the process `pid`, on the caller's
/// standard streams, and waits for its end. The command is the caller's child, no part of the workload: it
/// is not ended with it. While it runs, Ctrl-C is the command's alone. Blocking.
pub fn exec_in(pid: u32, argv: &[String]) -> io::Result<Exit> {
    let (program, args) = argv
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command is given"))?;
    // for its error, should there be no such process or none of ours
    std::fs::read(format!("/proc/{pid}/environ"))?;
    let stat = procfs::stat(pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
    let environ = procfs::settled_environ(pid.cast_signed(), &stat);
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir(PathBuf::from(format!("/proc/{pid}/cwd")));
    for (name, value) in procfs::variables(&environ) {
        if name != marker::VARIABLE.as_bytes() {
            command.env(OsStr::from_bytes(name), OsStr::from_bytes(value));
        }
    }
    let room = Room::of(pid)?;
    let ignoring = Ignoring::begin();
    let before = ignoring.before;
    // SAFETY: the closure makes system calls only, which may be made between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if let Some(room) = &room {
                room.enter()?;
            }
            for (signal, disposition) in TERMINAL.into_iter().zip(before) {
                // a handler of ours doesn't survive the exec anyhow
                let kept = if disposition == libc::SIG_IGN { libc::SIG_IGN } else { libc::SIG_DFL };
                libc::signal(signal, kept);
            }
            Ok(())
        });
    }
    let status = command.status()?;
    drop(ignoring);
    Ok(match status.code() {
        Some(code) => Exit::Code(code),
        None => Exit::Signal(status.signal().unwrap_or_default()),
    })
}

/// The room of a process, from outside.
struct Room {
    process: OwnedFd,
    folder: OwnedFd,
    namespaces: libc::c_int,
}

impl Room {
    /// That of a process, if it isn't where we are.
    fn of(pid: u32) -> io::Result<Option<Self>> {
        let same = |kind: &str| -> io::Result<bool> {
            let space = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{kind}"));
            Ok(space(&pid.to_string())? == space("self")?)
        };
        if same("user")? {
            return Ok(None);
        }
        let namespaces = if same("net")? { NAMESPACES } else { NAMESPACES | libc::CLONE_NEWNET };
        let id = rustix::process::Pid::from_raw(pid.cast_signed()).ok_or(io::ErrorKind::NotFound)?;
        let process = rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty())?;
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
        let folder = rustix::fs::open(format!("/proc/{pid}/cwd"), flags, rustix::fs::Mode::empty())?;
        Ok(Some(Self { process, folder, namespaces }))
    }

    /// Goes on in it, as a process born there, its guest, without capabilities. The process before waits for the end.
    ///
    /// # Safety
    /// To be called in a fresh child only.
    unsafe fn enter(&self) -> io::Result<()> {
        let done = |result: libc::c_long| if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
        // SAFETY: system calls on numbers.
        unsafe {
            done(Host::enter(self.process.as_raw_fd(), self.namespaces).into())?;
            done(libc::fchdir(self.folder.as_raw_fd()).into())?;
            match libc::fork() {
                -1 => return Err(io::Error::last_os_error()),
                0 => {}
                child => end_as(child),
            }
            // Refused where only root could do it: then there are none but its own.
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>());
            done(libc::syscall(libc::SYS_setresgid, GUEST, GUEST, GUEST))?;
            done(libc::syscall(libc::SYS_setresuid, GUEST, GUEST, GUEST))?;
            if drop_capabilities() { Ok(()) } else { Err(io::Error::last_os_error()) }
        }
    }
}

/// Ends as a child does.
unsafe fn end_as(child: libc::c_int) -> ! {
    // SAFETY: system calls on numbers, and one that is written before it is read.
    unsafe {
        for signal in TERMINAL {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut status = 0;
        while libc::waitpid(child, &raw mut status, 0) < 0 && *libc::__errno_location() == libc::EINTR {}
        if libc::WIFSIGNALED(status) {
            let signal = libc::WTERMSIG(status);
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

/// While this lives, the terminal's signals are ignored here.
struct Ignoring {
    before: [libc::sighandler_t; TERMINAL.len()],
}

impl Ignoring {
    fn begin() -> Self {
        // SAFETY: "ignore" runs no code.
        Self { before: TERMINAL.map(|signal| unsafe { libc::signal(signal, libc::SIG_IGN) }) }
    }
}

impl Drop for Ignoring {
    fn drop(&mut self) {
        for (signal, before) in TERMINAL.into_iter().zip(self.before) {
            // SAFETY: puts back what stood there.
            unsafe { libc::signal(signal, before) };
        }
    }
}
