//! Finding the keeper of a folder, starting one, asking a program whether it can be one. Blocking.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags};

use super::KeeperError;
use crate::home::Home;
use crate::keeper::{CHECK, CHECKED};
use crate::wire::{self, peer};

/// How long a keeper may take to be ready: it may have strays to end first.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long a program may take to say whether it can be a keeper.
const CHECK_PATIENCE: Duration = Duration::from_secs(10);
/// Where programs are looked for when the environment says nothing.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A connection to the keeper in `dir`, which is `program` if it must be started.
pub(super) fn connect_or_start(dir: &Path, program: &Path) -> Result<OwnedFd, KeeperError> {
    let failed = |reason: String| KeeperError::Start { dir: dir.to_owned(), reason };
    let home = Home::open(dir).map_err(|error| failed(error.to_string()))?;
    if let Some(socket) = connect(&home) {
        return Ok(socket);
    }
    // One at a time: whoever waited for the lock finds the other's keeper.
    let _starting = home.start_lock().map_err(|error| failed(error.to_string()))?;
    if let Some(socket) = connect(&home) {
        return Ok(socket);
    }
    let said = run(Command::new(program).arg("keeper").arg("--dir").arg(home.dir()), START_PATIENCE)
        .map_err(|error| failed(format!("{}: {error}", program.display())))?;
    if said != wire::READY {
        return Err(failed(if said.is_empty() { "it ended without a word".to_owned() } else { said }));
    }
    connect(&home).ok_or(KeeperError::Lost)
}

/// Whether `program` can take over from a running keeper.
pub(super) fn check_program(program: &Path) -> Result<(), KeeperError> {
    let text = |what: String| KeeperError::Refused {
        text: format!("upgrade the keeper to {}: {what}", program.display()),
    };
    if !program.is_absolute() {
        return Err(text("its path is not absolute".to_owned()));
    }
    let said = run(Command::new(program).args(["keeper", "--dir", "/"]).env(CHECK, "1"), CHECK_PATIENCE)
        .map_err(|error| text(error.to_string()))?;
    if said == CHECKED { Ok(()) } else { Err(text("it is not a keeper, or one too old".to_owned())) }
}

/// The path of a program: as it is, or found in the workload's own `PATH`.
pub(super) fn find_program(path: PathBuf, env: &[(String, String)]) -> Result<PathBuf, KeeperError> {
    if path.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Ok(path);
    }
    let search = env.iter().rfind(|(name, _)| name == "PATH").map_or(DEFAULT_PATH, |(_, value)| value);
    let found = std::env::split_paths(search)
        .map(|folder| folder.join(&path))
        .find(|candidate| candidate.is_absolute() && is_executable(candidate));
    found.ok_or_else(|| KeeperError::Launch {
        text: format!("run {}: there is no such program in {search}", path.display()),
    })
}

/// A descriptor that is readable when the process has ended.
pub(super) fn process(pid: u32) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_raw(pid.cast_signed())?, PidfdFlags::NONBLOCK).ok()
}

fn connect(home: &Home) -> Option<OwnedFd> {
    let address = home.address().ok()?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).ok()?;
    rustix::net::connect(&socket, &address).ok()?;
    rustix::io::ioctl_fionbio(&socket, true).ok()?;
    peer::check(socket.as_fd()).ok()?;
    Some(socket)
}

/// Runs a program that leaves by itself and returns the first line it says.
fn run(command: &mut Command, patience: Duration) -> io::Result<String> {
    let deadline = Instant::now() + patience;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let said = child.stdout.take().map_or(Ok(String::new()), |mut stdout| {
        let (mut line, mut chunk) = (Vec::new(), [0; 4096]);
        while !line.contains(&b'\n') && line.len() < chunk.len() {
            let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()));
            let left = left.map_err(io::Error::other)?;
            match rustix::event::poll(&mut [PollFd::new(&stdout, PollFlags::IN)], Some(&left)) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            match stdout.read(&mut chunk)? {
                0 => break,
                count => line.extend_from_slice(&chunk[..count]),
            }
        }
        Ok(String::from_utf8_lossy(&line).lines().next().unwrap_or_default().to_owned())
    });
    if said.is_err() {
        let _ = child.kill();
    }
    child.wait()?;
    said
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
