//! A `mesh` that keeps running in a host: what it says is read as it comes, and waited for.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::host::Host;

/// How long a test waits for something that should come. It is never waited for in vain.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A process that keeps running. It ends with this value.
pub struct Node<'a> {
    host: &'a Host,
    line: String,
    child: Mutex<Child>,
    said: Arc<Said>,
}

/// What a process has said so far.
#[derive(Default)]
struct Said {
    lines: Mutex<Lines>,
    more: Condvar,
}

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    /// How many of its two outputs have ended.
    ended: usize,
}

impl<'a> Node<'a> {
    /// Starts `mesh LINE` in a host.
    pub(crate) fn start(host: &'a Host, line: &str) -> Self {
        let mut command = host.command();
        command.args(line.split_whitespace()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = host.space().inside(|| command.spawn().unwrap());
        let said = Arc::new(Said::default());
        said.clone().read(child.stdout.take().unwrap());
        said.clone().read(child.stderr.take().unwrap());
        Self { host, line: line.to_owned(), child: Mutex::new(child), said }
    }

    /// Waits for its first line with a URL, which says that it serves: the URL.
    #[track_caller]
    pub fn ready(&self) -> String {
        self.line("its URL", |line| line.starts_with("http"))
    }

    /// Waits for a line that satisfies `wanted`, from the first one on: the line.
    #[track_caller]
    pub fn line(&self, what: &str, mut wanted: impl FnMut(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = 0;
        let mut lines = self.said.lines.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = lines.lines.iter().skip(seen).find(|line| wanted(line)) {
                return found.clone();
            }
            seen = lines.lines.len();
            let left = until.saturating_duration_since(Instant::now());
            if lines.ended == 2 || left.is_zero() {
                break;
            }
            lines = self.said.more.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let said = lines.lines.join("\n");
        panic!("{}: `mesh {}` did not say {what}:\n{said}", self.host.name(), self.line);
    }

    /// All it has said.
    pub fn log(&self) -> String {
        self.said.lines.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child.lock().unwrap())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Kills it; it is gone afterwards. What it started is not.
    pub fn kill9(&self) {
        let mut child = self.child.lock().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end and waits for that; its exit status, or -1 after a signal.
    pub fn stop(&self) -> i32 {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits for its end; its exit status, or -1 after a signal.
    #[track_caller]
    pub fn ended(&self) -> i32 {
        assert!(
            gone(self.pid(), PATIENCE),
            "{}: `mesh {}` runs on:\n{}",
            self.host.name(),
            self.line,
            self.log()
        );
        self.child.lock().unwrap().wait().unwrap().code().unwrap_or(-1)
    }
}

impl Said {
    /// Takes one of the outputs, line by line.
    fn read(self: Arc<Self>, output: impl Read + Send + 'static) {
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                self.lines.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
                self.more.notify_all();
            }
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).ended += 1;
            self.more.notify_all();
        });
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        drop(child.kill());
        drop(child.wait());
        if std::thread::panicking() {
            let (host, line) = (self.host.name(), &self.line);
            drop(writeln!(std::io::stderr(), "--- {host}: mesh {line}\n{}\n---", self.log()));
        }
    }
}

/// Waits until a process is gone; false when it still runs after this long.
pub fn gone(pid: Pid, patience: Duration) -> bool {
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let patience = Timespec::try_from(patience).unwrap();
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).unwrap() > 0
}

/// Waits until something holds that no event tells of: asks again and again, for a bounded time.
#[track_caller]
pub fn until<T, E: std::fmt::Debug>(what: &str, mut holds: impl FnMut() -> Result<T, E>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match holds() {
            Ok(found) => return found,
            Err(last) => assert!(Instant::now() < end, "in vain: {what}; at last: {last:?}"),
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}
