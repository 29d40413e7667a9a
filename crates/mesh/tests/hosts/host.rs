//! A host: addresses, a name, a disk of its own, and `mesh` run in it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};

use serde_json::Value;

use crate::cell;
use crate::clock;
use crate::lan::Space;
use crate::node::Node;

/// The size of a host's disk until a test fills it.
pub(crate) const DISK: &str = "1g";

/// One host.
pub struct Host {
    number: usize,
    last: AtomicU8,
    /// How many seconds its wall clock is ahead.
    ahead: AtomicI64,
    space: Space,
    folder: PathBuf,
}

/// A command that has run.
#[derive(Debug)]
pub struct Ran {
    /// What was typed.
    pub line: String,
    /// All it wrote to stdout.
    pub stdout: String,
    /// All it wrote to stderr.
    pub stderr: String,
    /// Its exit status, or -1 after a signal.
    pub code: i32,
}

impl Host {
    /// A host with a name and a disk, and no link yet.
    pub(crate) fn new(number: usize, folder: &Path) -> Self {
        let name = format!("h{number}");
        let folder = folder.join(&name);
        std::fs::create_dir(&folder).unwrap();
        cell::mount_disk(&folder, DISK);
        std::fs::create_dir(folder.join("work")).unwrap();
        Self { number, last: AtomicU8::new(2), ahead: AtomicI64::new(0), space: Space::new(&name), folder }
    }

    /// Its place in the network, from 0.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Its name, as `hostname` prints it in it.
    pub fn name(&self) -> String {
        format!("h{}", self.number)
    }

    /// Its IPv4 address.
    pub fn v4(&self) -> IpAddr {
        let subnet = u8::try_from(self.number).unwrap();
        Ipv4Addr::new(10, 7, subnet, self.last()).into()
    }

    /// Its IPv6 address.
    pub fn v6(&self) -> IpAddr {
        let subnet = u16::try_from(self.number).unwrap();
        Ipv6Addr::new(0xfd07, 0, 0, subnet, 0, 0, 0, self.last().into()).into()
    }

    /// The last byte of its addresses.
    pub(crate) fn last(&self) -> u8 {
        self.last.load(Ordering::Relaxed)
    }

    /// Moves on to its next address, in name alone.
    pub(crate) fn next_address(&self) {
        self.last.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on the wall clock of what is started here is ahead by so many seconds, or behind.
    pub fn set_clock(&self, ahead: i64) {
        self.ahead.store(ahead, Ordering::Relaxed);
    }

    /// The folder that commands run in.
    pub fn work(&self) -> PathBuf {
        self.folder.join("work")
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Its whole disk.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its namespaces.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// `mesh` as this host's user runs it, without arguments yet. To be started in [`Space::inside`].
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command
            .current_dir(self.work())
            .env("MESH_STATE", self.state())
            .env("HOME", &self.folder)
            .env("TMPDIR", self.work())
            .env("SOURCE_DATE_EPOCH", "1757116800")
            .env_remove("RUST_BACKTRACE")
            .stdin(Stdio::null());
        let ahead = self.ahead.load(Ordering::Relaxed);
        if ahead != 0 {
            command.env("LD_PRELOAD", clock::library()).env(clock::AHEAD, ahead.to_string());
        }
        command
    }

    /// Runs `mesh` with these words (split at spaces) to its end.
    pub fn mesh(&self, line: &str) -> Ran {
        self.run(line, self.command().args(line.split_whitespace()))
    }

    /// Runs a prepared command to its end.
    pub fn run(&self, line: &str, command: &mut Command) -> Ran {
        let Output { status, stdout, stderr } = self.space.inside(|| command.output().unwrap());
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let code = status.code().unwrap_or(-1);
        Ran { line: line.to_owned(), stdout: text(stdout), stderr: text(stderr), code }
    }

    /// The answer of a command in JSON.
    #[track_caller]
    pub fn json(&self, line: &str) -> Value {
        let ran = self.mesh(&format!("{line} --json")).good();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    /// Starts a `mesh` that keeps running.
    pub fn start(&self, line: &str) -> Node<'_> {
        Node::start(self, line)
    }

    /// Reads events until one satisfies `wanted`; `since` is the number of the last one that doesn't count.
    #[track_caller]
    pub fn event(&self, since: u64, what: &str, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let events = self.start(&format!("events --follow --json --since {since}"));
        let mut found = None;
        events.line(what, |line| {
            found = serde_json::from_str(line).ok().filter(&mut wanted);
            found.is_some()
        });
        found.unwrap()
    }

    /// The number of the last event.
    pub fn last_event(&self) -> u64 {
        let ran = self.mesh("events --json -n 1").good();
        let last = ran.stdout.lines().last().map(|line| serde_json::from_str::<Value>(line).unwrap());
        last.map_or(0, |event| event["seq"].as_u64().unwrap())
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
        assert_eq!(self.code, code, "$ mesh {}\n{}{}", self.line, self.stdout, self.stderr);
        self
    }
}
