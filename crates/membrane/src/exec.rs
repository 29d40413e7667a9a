//! Running a command where a workload lives: its environment, its working directory, our terminal.

#![expect(unsafe_code, reason = "signal dispositions have no safe binding here")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::Command;

use crate::exit::Exit;
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
    let ignoring = Ignoring::begin();
    let before = ignoring.before;
    // SAFETY: the closure makes two system calls, which may be made between fork and exec.
    unsafe {
        command.pre_exec(move || {
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
