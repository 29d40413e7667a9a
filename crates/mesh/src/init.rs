//! Process 1 of a container: the kernel hands it every process that lost its parent, and protects it from signals that it
//! didn't ask for. So where `mesh` is started as that, it starts itself once more, passes signals on to that process,
//! buries whoever ends, and ends with it; the kernel then ends what is left.

use std::ffi::OsString;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use tokio::signal::unix::{SignalKind, signal};

use crate::daemon::program;

/// What is passed on.
const PASSED_ON: [Signal; 6] =
    [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2];
/// What a shell says of a process that a signal ended, less the signal.
const SIGNALLED: i32 = 128;

/// Whether this process is one that has to do this.
pub fn is_needed() -> bool {
    std::process::id() == 1
}

/// Runs the command line in a process of its own to its end; its exit status.
pub fn run(argv: &[OsString]) -> std::io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut ends = signal(SignalKind::child())?;
        let (asked, mut to_pass) = tokio::sync::mpsc::unbounded_channel();
        for passed in PASSED_ON {
            let (mut comes, asked) = (signal(SignalKind::from_raw(passed.as_raw()))?, asked.clone());
            tokio::spawn(async move { while comes.recv().await.is_some() && asked.send(passed).is_ok() {} });
        }
        let program = program().map_err(|failure| std::io::Error::other(failure.to_string()))?;
        // In a group of its own: Ctrl-C comes from here alone, once.
        let child = Command::new(program).args(argv.iter().skip(1)).process_group(0).spawn()?;
        let child = Pid::from_child(&child);
        loop {
            tokio::select! {
                Some(asked) = to_pass.recv() => drop(kill_process(child, asked)),
                _ = ends.recv() => {}
            }
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                if pid == child {
                    return Ok(code(ExitStatus::from_raw(status.as_raw())));
                }
            }
        }
    })
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().unwrap_or_else(|| SIGNALLED + status.signal().unwrap_or_default());
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
