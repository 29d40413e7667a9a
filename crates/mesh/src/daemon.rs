//! Starting a mesh that goes on by itself: `mesh run` as a process of its own, with its log in the state folder.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use mycelium::Paths;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::exit::Code;
use crate::failure::Failure;
use crate::logging;

/// How many lines of a log are shown when there is nothing better.
const LAST_LINES: usize = 10;

/// A mesh that was started here.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    /// Where the log ended before.
    before: u64,
}

/// The log of a mesh that was not started on a terminal.
pub fn log_file(paths: &Paths) -> PathBuf {
    paths.state.join("mesh.log")
}

/// This program, as others are to start it.
pub fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|e| Failure::new(format_args!("failed to find this program: {e}")))
}

impl Daemon {
    /// Starts `mesh` with these arguments. Ctrl-C on our terminal doesn't reach it.
    pub fn start(paths: &Paths, args: &[OsString], folder: Option<&Path>) -> Result<Self, Failure> {
        let log = log_file(paths);
        let stderr = logging::append_to(&log)
            .map_err(|e| Failure::new(format_args!("failed to open the log {}: {e}", log.display())))?;
        let before = stderr.metadata().map(|m| m.len()).unwrap_or(0);
        let mut command = Command::new(program()?);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).process_group(0);
        if let Some(folder) = folder {
            command.current_dir(folder);
        }
        let child =
            command.spawn().map_err(|e| Failure::new(format_args!("failed to start the mesh: {e}")))?;
        Ok(Self { child, log, before })
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32, Failure> {
        self.child.id().ok_or_else(|| Failure::new("the mesh ended at once"))
    }

    /// Waits until it serves: its first line on stdout is its URL.
    pub async fn ready(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        if let Some(stdout) = self.child.stdout.take() {
            // An error reads as "nothing came", which is what it means here.
            drop(BufReader::new(stdout).read_line(&mut line).await);
        }
        let url = line.trim();
        if url.is_empty() { Err(self.why_not().await) } else { Ok(url.to_owned()) }
    }

    /// Why it isn't there any more, in its own words.
    pub async fn why_not(&mut self) -> Failure {
        let status = self.child.wait().await.ok();
        let said = self.said();
        let after =
            |prefix: &str| said.lines().rev().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
        if status.is_some_and(|status| status.success()) {
            return Failure::new("the mesh was stopped from elsewhere").code(Code::Ok);
        }
        let mut failure = match after("error: ") {
            Some(error) => Failure::new(error),
            None => {
                let how = status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
                let lines: Vec<&str> = said.lines().collect();
                let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
                Failure::new(format_args!("the mesh ended ({how}); the last lines of its log:\n  {last}"))
                    .hint(format_args!("its whole log is {}", self.log.display()))
            }
        };
        if let Some(hint) = after("hint: ") {
            failure = failure.hint(hint);
        }
        match status.and_then(|status| status.code()) {
            Some(2) => failure.code(Code::Usage),
            Some(4) => failure.code(Code::Refused),
            _ => failure,
        }
    }

    /// What it wrote to its log since it was started.
    fn said(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let from = usize::try_from(self.before).unwrap_or(0);
        String::from_utf8_lossy(bytes.get(from..).unwrap_or(&bytes)).into_owned()
    }
}
