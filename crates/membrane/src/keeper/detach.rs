//! Leaving the parent and the terminal; the keeper's few words about itself.

#![expect(unsafe_code, reason = "fork and dup2 onto the standard descriptors have no safe binding here")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

use rustix::fs::{Mode, OFlags};
use types::Timestamp;

use crate::home::Home;

/// Forks, so that whoever started the keeper is not its parent. True in the process that is to end.
pub(super) fn leave_parent() -> io::Result<bool> {
    if std::process::id() == 1 {
        return Ok(false);
    }
    // SAFETY: the keeper is called before any thread is made, so the child has all there is.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            rustix::process::setsid()?;
            Ok(false)
        }
        _ => Ok(true),
    }
}

/// Lets go of everything inherited but standard output, on which readiness is told.
pub(super) fn leave_terminal(home: &Home) -> io::Result<()> {
    rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::chdir("/")?;
    redirect(&null()?, 0)?;
    redirect(&home.log()?, 2)
}

/// Nobody reads it any more.
pub(super) fn close_stdout() -> io::Result<()> {
    redirect(&null()?, 1)
}

/// `/dev/null`, for the keeper and its workloads.
pub(super) fn null() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?)
}

/// Writes a line to the keeper's log.
pub(super) fn say(text: &str) {
    let line = format!("{} {text}\n", Timestamp::from(SystemTime::now()));
    write(2, line.as_bytes());
}

/// Writes a line to standard output.
pub(super) fn say_out(text: &str) {
    write(1, format!("{text}\n").as_bytes());
}

fn write(fd: i32, bytes: &[u8]) {
    // SAFETY: the runtime keeps 0 to 2 open, and nothing here ever closes them.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    // nobody may be there to read it: then it is lost
    let _ = rustix::io::write(fd, bytes);
}

fn redirect(from: &OwnedFd, to: i32) -> io::Result<()> {
    // SAFETY: `to` is a standard descriptor that no value owns.
    if unsafe { libc::dup2(from.as_raw_fd(), to) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
