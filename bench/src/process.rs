//! Process: what the bench starts, it ends: when it is done, when it fails, on Ctrl-C, and when it is killed.
//!
//! Everything is ended by its own id. A process group of its own keeps the terminal's Ctrl-C from our children, so that
//! they are ended in order; the parent-death signal of `setpriv` ends them should we be killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{process, thread};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::machine;

/// How long a process may take to end by itself.
const GRACE: Duration = Duration::from_secs(10);

static RUNNING: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A child that ends when it is dropped.
pub struct Process {
    child: Child,
    name: String,
}

impl Process {
    /// Starts `argv`, bound to `core` if one is given, its output in `log`.
    pub fn start(
        name: &str,
        argv: &[&str],
        env: &[(&str, &str)],
        core: Option<usize>,
        log: &Path,
    ) -> Result<Self> {
        let out = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]);
        if let Some(core) = core {
            command.args(["taskset", "-c", &core.to_string()]);
        }
        command.args(argv).env("PATH", machine::path()).envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let child = command
            .spawn()
            .with_context(|| format!("failed to start {name} (setpriv {})", argv.join(" ")))?;
        running().push(child.id());
        Ok(Self { child, name: name.to_owned() })
    }

    /// Its id, and that of what `setpriv` became.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Tries `ready` until it has something to give, for at most `patience`; fails at once when the process ends.
    pub fn until<T>(
        &mut self,
        what: &str,
        patience: Duration,
        mut ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        let since = Instant::now();
        loop {
            if let Some(value) = ready() {
                return Ok(value);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) before {what}", self.name);
            }
            if since.elapsed() > patience {
                bail!("{} took longer than {patience:?} until {what}", self.name);
            }
            pause(Duration::from_millis(1));
        }
    }

    /// Waits for it to end by itself.
    pub fn wait(&mut self, patience: Duration) -> Result<process::ExitStatus> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if since.elapsed() > patience {
                bail!("{} didn't end within {patience:?}", self.name);
            }
            pause(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        signal(self.id(), Signal::TERM);
        if self.wait(GRACE).is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        release(self.id());
    }
}

/// Has a process that isn't our child ended with the others on Ctrl-C.
pub fn adopt(pid: u32) {
    running().push(pid);
}

/// The process has ended.
pub fn release(pid: u32) {
    running().retain(|other| *other != pid);
}

/// Sends a signal to a process that may be gone.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// For what announces nothing: another program's socket, a state that can only be asked for.
#[expect(clippy::disallowed_methods, reason = "there is no event to wait for")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Ends everything in order, and removes `dir`, when somebody wants the bench to end.
pub fn end_on_signal(dir: PathBuf) -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let pids = running().clone();
            for pid in pids.iter().rev() {
                signal(*pid, Signal::TERM);
            }
            let since = Instant::now();
            while pids.iter().any(|pid| alive(*pid)) && since.elapsed() < GRACE {
                pause(Duration::from_millis(10));
            }
            for pid in pids {
                signal(pid, Signal::KILL);
            }
            let _ = std::fs::remove_dir_all(&dir);
            leave(130);
        }
    });
    Ok(())
}

#[expect(clippy::exit, reason = "the main thread is in the middle of a measurement")]
fn leave(status: i32) -> ! {
    process::exit(status)
}

/// Whether it still runs; one that has ended and wasn't waited for doesn't.
pub fn alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X')))
}

fn running() -> std::sync::MutexGuard<'static, Vec<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
