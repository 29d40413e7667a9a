//! A mesh that runs for a test, what is asked of it, and what is left of it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::FileTypeExt as _;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use super::Place;

/// How long a test waits for something that should come at once. It is never waited for in vain.
const PATIENCE: Duration = Duration::from_secs(60);

/// A `mesh run` (or `up`) in the foreground. Whatever the test does, nothing of it is left.
pub struct Running<'a> {
    pub place: &'a Place,
    pub child: Child,
    /// The edge's base URL.
    pub url: String,
}

/// An HTTP response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Place {
    /// Starts `mesh run LINE` on a free port and waits until it serves.
    pub fn start(&self, line: &str) -> Running<'_> {
        self.start_words(&[&["run", "-edge", "127.0.0.1:0"][..], &words(line)].concat())
    }

    /// [`Place::start`] with more in its environment.
    pub fn start_with(&self, line: &str, environment: &[(&str, &str)]) -> Running<'_> {
        let words = [&["run", "-edge", "127.0.0.1:0"][..], &words(line)].concat();
        self.start_command(self.command().args(words).envs(environment.iter().copied()))
    }

    /// Starts `mesh` with these words; its first line on stdout is its URL.
    pub fn start_words(&self, words: &[&str]) -> Running<'_> {
        self.start_command(self.command().args(words))
    }

    fn start_command(&self, command: &mut Command) -> Running<'_> {
        let log = self.append("run.log");
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        let running = Running { place: self, child, url: url.trim().to_owned() };
        assert!(running.url.starts_with("http"), "the mesh did not start:\n{}", self.log());
        running
    }

    /// What the mesh wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.work().join("run.log")).unwrap_or_default()
    }

    /// The answer of a command in JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let ran = self.mesh(&format!("{line} --json")).good();
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Reads events until one satisfies `wanted`; `since` is the number of the last one that doesn't count.
    #[track_caller]
    pub fn event(&self, since: u64, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut child = self
            .command()
            .args(["events", "--follow", "--json", "--since", &since.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let watchdog = Watchdog::over(child);
        let mut seen = Vec::new();
        for line in lines {
            let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if wanted(&event) {
                return event;
            }
            seen.push(event.to_string());
        }
        drop(watchdog);
        panic!("no event: {what}; there were\n{}\nlog:\n{}", seen.join("\n"), self.log());
    }

    /// The number of the last event.
    pub fn last_event(&self) -> u64 {
        let ran = self.mesh("events --json -n 1").good();
        ran.stdout
            .lines()
            .last()
            .map_or(0, |line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap())
    }

    /// Waits for the end of whatever is about to end, and asserts that nothing of this place still runs.
    #[track_caller]
    pub fn nothing_runs(&self) {
        for line in self.processes() {
            let pid = line.split(' ').next().unwrap().parse().unwrap();
            gone(pid);
        }
        assert_eq!(self.processes(), Vec::<String>::new());
        assert_eq!(sockets(&self.state()), Vec::<PathBuf>::new());
    }

    /// Every process that has to do with this place, with its command line.
    fn processes(&self) -> Vec<String> {
        let root = self.root().to_str().unwrap().to_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace('\0', " ");
            let line = text(read("cmdline"));
            let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let about =
                line.contains(&root) || text(read("environ")).contains(&root) || cwd.starts_with(&root);
            if about && !line.is_empty() && pid != std::process::id() {
                found.push(format!("{pid} {line}"));
            }
        }
        found
    }
}

/// The sockets in a state folder.
fn sockets(state: &Path) -> Vec<PathBuf> {
    let files = [state.to_owned(), state.join("keeper")].into_iter().flat_map(std::fs::read_dir).flatten();
    let is_socket =
        |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    files.map(|entry| entry.unwrap().path()).filter(is_socket).collect()
}

impl Running<'_> {
    /// `GET path` at the edge.
    pub fn get(&self, path: &str) -> Response {
        get(&self.url, path)
    }

    /// Does `work` while four clients ask for `path` as fast as they can; every answer is a 200.
    pub fn while_asked<T>(&self, path: &str, work: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let ask = || {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let answer = self.get(path);
                    assert_eq!(answer.status, 200, "{answer:?}");
                    count += 1;
                }
                count
            };
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
            // Caught, or the clients would go on for ever.
            let done = std::panic::catch_unwind(AssertUnwindSafe(work));
            over.store(true, Ordering::Relaxed);
            for client in clients {
                assert!(client.join().unwrap() > 0);
            }
            done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Sends a signal to the foreground process.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; its exit status, or -1 after a signal.
    pub fn ended(&mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Not asked to end first: what a test left may take as long as it likes to.
        drop(self.child.kill());
        drop(self.child.wait());
        drop(
            self.place.command().args(["down", "-now"]).stdout(Stdio::null()).stderr(Stdio::null()).status(),
        );
    }
}

/// Kills a process and waits until it is gone.
pub fn kill(pid: i64) {
    let pid = i32::try_from(pid).unwrap();
    let number = Pid::from_raw(pid).unwrap();
    kill_process(number, Signal::KILL).unwrap();
    gone(pid);
}

/// Waits until a process that is about to end is gone; gives up when patience ends.
fn gone(pid: i32) {
    let Ok(handle) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return };
    let patience = Timespec::try_from(PATIENCE / 6).unwrap();
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).unwrap();
}

/// `GET path` at a base URL, one connection a request.
pub fn get(url: &str, path: &str) -> Response {
    try_get(url, path).unwrap()
}

fn try_get(url: &str, path: &str) -> std::io::Result<Response> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    Ok(Response { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Kills a process that is still there when patience ends, so that its reader comes to an end.
struct Watchdog {
    child: std::sync::Arc<std::sync::Mutex<Child>>,
    _alive: std::sync::mpsc::Sender<()>,
}

impl Watchdog {
    fn over(child: Child) -> Self {
        let child = std::sync::Arc::new(std::sync::Mutex::new(child));
        let (alive, gone) = std::sync::mpsc::channel();
        let watched = child.clone();
        std::thread::spawn(move || {
            if gone.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                drop(watched.lock().unwrap().kill());
            }
        });
        Self { child, _alive: alive }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        let mut child = self.child.lock().unwrap();
        drop(child.kill());
        drop(child.wait());
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
