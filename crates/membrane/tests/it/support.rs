//! What every test needs: a keeper of its own in a folder of its own, and proof that nothing is left behind.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use membrane::{
    Events, Exit, Keeper, KeeperConfig, KeeperEvent, LogLimits, LogStream, OutOfMemory, Process, Program,
    Spawn,
};
use tempfile::TempDir;

/// The program that is a keeper, and workloads.
pub const HARNESS: &str = env!("CARGO_BIN_EXE_keeper-harness");
/// Longer than anything takes on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a keeper; dropped, it ends whatever still runs and fails if that was not the keeper's.
pub struct Nest {
    pub folder: TempDir,
    /// The keeper's folder in it.
    pub keeper: String,
    pub limits: LogLimits,
}

impl Nest {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            keeper: "keeper".to_owned(),
            limits: LogLimits::default(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn config(&self) -> KeeperConfig {
        KeeperConfig { dir: self.path(&self.keeper), program: HARNESS.into(), log_limits: self.limits }
    }

    pub async fn attach(&self) -> (Client, Vec<Process>) {
        let (keeper, processes, events) = Keeper::attach(self.config()).await.unwrap();
        (Client { keeper, events }, processes)
    }

    /// A workload that runs `script` in a shell.
    pub fn shell(&self, id: &str, script: &str) -> Spawn {
        self.spawn(id, Program::Path("/bin/sh".into()), &["-c", script])
    }

    pub fn spawn(&self, id: &str, program: Program, args: &[&str]) -> Spawn {
        Spawn {
            id: id.to_owned(),
            program,
            arg0: "workload".to_owned(),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            cwd: self.folder.path().to_owned(),
            logs: self.path("logs").join(id),
            note: format!("{{\"note\":\"{id}\"}}"),
            skin: None,
            files: Vec::new(),
            limits: None,
        }
    }

    /// What `id` wrote, stream by stream, lines put together again.
    pub fn log(&self, id: &str, stream: LogStream) -> String {
        let mut text = String::new();
        for line in membrane::tail(&self.path("logs").join(id), usize::MAX).unwrap() {
            if line.stream == stream {
                text += &line.text;
                text += if line.more { "" } else { "\n" };
            }
        }
        text
    }

    pub fn stdout(&self, id: &str) -> String {
        self.log(id, LogStream::Stdout)
    }

    /// The folders of the keeper's that it has in cgroups, or had.
    pub fn groups(&self) -> Vec<PathBuf> {
        let text = std::fs::read_to_string(self.path(&self.keeper).join("cgroups")).unwrap_or_default();
        text.lines().map(PathBuf::from).collect()
    }

    /// A named pipe: a workload writes a line to it when it has come to a certain point.
    pub fn fifo(&self, name: &str) -> Fifo {
        let path = self.path(name);
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        // also open for writing, so that it never ends
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Fifo { path, reader: BufReader::new(file) }
    }
}

impl Drop for Nest {
    fn drop(&mut self) {
        let dir = self.path(&self.keeper);
        let holder = std::fs::read_to_string(dir.join("lock")).ok().and_then(|pid| pid.parse().ok());
        if let Some(pid) = holder.and_then(rustix::process::Pid::from_raw)
            && membrane::reap_strays(&dir).is_err()
            && is_keeper(pid, &dir)
        {
            let process = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty());
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            if let Ok(process) = process {
                await_end(&process);
            }
        }
        membrane::reap_strays(&dir).unwrap();
        for group in self.groups() {
            assert!(!group.exists(), "{} is left", group.display());
        }
    }
}

/// A connection and its events.
pub struct Client {
    pub keeper: Keeper,
    pub events: Events,
}

impl Client {
    pub async fn event(&mut self) -> KeeperEvent {
        tokio::time::timeout(PATIENCE, self.events.next()).await.expect("an event in time").expect("an event")
    }

    /// The next event, which must be the end of `id`.
    pub async fn exit_of(&mut self, id: &str) -> Exit {
        match self.event().await {
            KeeperEvent::Exited { id: ended, exit, .. } if ended == id => exit,
            other => panic!("{other:?} instead of the end of {id}"),
        }
    }

    /// The next event, which must be the end of `id`, by the kernel for lack of memory.
    pub async fn oom_of(&mut self, id: &str) -> OutOfMemory {
        match self.event().await {
            KeeperEvent::Exited { id: ended, oom: Some(oom), .. } if ended == id => oom,
            other => panic!("{other:?} instead of the end of {id} for lack of memory"),
        }
    }

    /// Ends everything, and sees that nothing is left.
    pub async fn end(self) {
        self.keeper.shutdown().await.unwrap();
        assert!(!process_exists(self.keeper.pid()));
    }
}

/// Where workloads report to the test.
pub struct Fifo {
    pub path: PathBuf,
    reader: BufReader<File>,
}

impl Fifo {
    /// The next line somebody wrote; waits for it.
    pub async fn line(&mut self) -> String {
        tokio::task::block_in_place(|| {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        })
    }

    /// Tells whoever waits to read a line.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.reader.get_mut(), "{line}").unwrap();
    }

    pub fn arg(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// Whether this process is the keeper of a folder: a pid from a file may mean anybody.
fn is_keeper(pid: rustix::process::Pid, dir: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    String::from_utf8_lossy(&line).contains(&*dir.to_string_lossy())
}

/// Whether there is a living process of this id.
pub fn process_exists(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Something that is readable when the process has ended; `None` when it has already.
pub fn watch_end(pid: u32) -> Option<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed())?;
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
}

/// Waits for the end of a process.
pub fn await_end(process: &OwnedFd) {
    let timeout = rustix::event::Timespec { tv_sec: 60, tv_nsec: 0 };
    let mut fds = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut fds, Some(&timeout)), Ok(1), "a process does not end");
}

/// `kill -9`, and waits until it is gone.
pub fn kill_dash_nine(pid: u32) {
    let process = watch_end(pid).unwrap();
    rustix::process::pidfd_send_signal(&process, rustix::process::Signal::KILL).unwrap();
    await_end(&process);
}

pub fn read_pid(text: &str) -> u32 {
    text.trim().parse().unwrap_or_else(|_| panic!("{text:?} is no pid"))
}

pub fn write_file(path: &Path, text: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
