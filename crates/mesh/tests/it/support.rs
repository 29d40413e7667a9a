//! A place of its own for each test: a state folder, a working folder, and `mesh` run in them.

mod running;
mod shown;
mod tls;
mod workloads;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub use running::{Running, get, kill};
pub use tls::{ask, certificates};
pub use workloads::workload;

/// A user that no machine has.
const NOBODY: u32 = 64_538;

/// A place that is empty at first, and of which nothing is left at the end.
pub struct Place {
    root: tempfile::TempDir,
    /// Who runs its commands, where that isn't who runs the test.
    user: Option<u32>,
}

/// A command that has run.
pub struct Ran {
    /// What was typed.
    pub line: String,
    /// All it wrote to stdout.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
    /// Its exit status.
    pub code: i32,
    root: PathBuf,
}

impl Place {
    /// A new one.
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("work")).unwrap();
        std::fs::copy(repository().join("examples/billing.json"), root.path().join("work/billing.json"))
            .unwrap();
        std::fs::write(root.path().join("work/program"), "#!/bin/sh\nexit 0\n").unwrap();
        Self { root, user: None }
    }

    /// One of a user who is nobody in particular, where the test is run by root; none where that user can't run `mesh`.
    pub fn of_user() -> Option<Self> {
        let mut place = Self::new();
        if rustix::process::geteuid().is_root() {
            place.user = Some(NOBODY);
            let paths = [place.root.path().to_owned(), place.work()];
            let files = std::fs::read_dir(place.work()).unwrap().map(|entry| entry.unwrap().path());
            for path in files.chain(paths) {
                std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        place.command().arg("version").stdout(Stdio::null()).status().is_ok().then_some(place)
    }

    /// The folder that commands run in. It holds `billing.json` and `program`.
    pub fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// The state folder.
    pub fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    /// The folder above both.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Opens a file of the working folder for appending.
    pub fn append(&self, name: &str) -> std::fs::File {
        std::fs::OpenOptions::new().create(true).append(true).open(self.work().join(name)).unwrap()
    }

    /// Runs a line as it is typed (no quotes: its words are split at spaces).
    pub fn mesh(&self, line: &str) -> Ran {
        self.run(line, self.command().args(line.split_whitespace()))
    }

    /// Runs a prepared command.
    pub fn run(&self, line: &str, command: &mut Command) -> Ran {
        let Output { status, stdout, stderr } = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            line: line.to_owned(),
            stdout: text(stdout),
            stderr: text(stderr),
            code: status.code().unwrap_or(-1),
            root: self.root.path().to_owned(),
        }
    }

    /// `mesh` in this place, without arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command
            .current_dir(self.work())
            .env("MESH_STATE", self.state())
            .env("HOME", self.root.path())
            .env("SOURCE_DATE_EPOCH", "1757116800")
            .env_remove("NO_COLOR")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// Writes a file into the working folder.
    pub fn write(&self, path: &str, content: &str) -> PathBuf {
        let path = self.work().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A spore of the billing workload with this version, packed; its path.
    pub fn billing(&self, version: &str) -> String {
        let binary = workload("billing");
        let line = format!("build -manifest billing.json -binary {} -tag {version}", binary.display());
        self.mesh(&line).good().stdout.trim().to_owned()
    }

    /// A spore of `program`, packed; its path.
    pub fn packed(&self) -> String {
        self.mesh("build -manifest billing.json -binary program").good().stdout.trim().to_owned()
    }
}

impl Ran {
    /// Itself, having ended well.
    #[track_caller]
    pub fn good(self) -> Self {
        self.ended(0)
    }

    /// Itself, having ended with this status.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.shown());
        self
    }

    /// Everything a person sees, with what differs from run to run replaced.
    pub fn shown(&self) -> String {
        let mut text = format!("$ mesh {}\n{}", self.line, self.stdout);
        for line in self.stderr.lines() {
            text.push_str(&format!("! {line}\n"));
        }
        text.push_str(&format!("[{}]", self.code));
        shown::steady(&text, &self.root)
    }
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Several commands one below the other.
pub fn session(ran: &[Ran]) -> String {
    ran.iter().map(Ran::shown).collect::<Vec<_>>().join("\n\n")
}
