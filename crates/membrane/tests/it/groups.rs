//! Groups of the v2 hierarchy, and programs in them.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use membrane::bpf::{self, Lack, Programs};

/// Whether this machine can't do it: said loudly, for then nothing is tested.
#[expect(clippy::print_stdout, reason = "a test that was skipped is to be seen")]
pub fn cannot() -> bool {
    if let Err(Lack::Refused(why)) = Programs::load() {
        panic!("the kernel takes our programs to be wrong: {why}");
    }
    let why = bpf::possible().err();
    why.iter().for_each(|why| println!("SKIPPED: {why}"));
    why.is_some()
}

/// A group of the v2 hierarchy, gone when dropped.
pub struct Group {
    path: PathBuf,
    dir: File,
}

impl Group {
    pub fn new(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = mounts.lines().find(|line| line.contains(" - cgroup2 ")).unwrap();
        let root = PathBuf::from(line.split(' ').nth(4).unwrap());
        Self::at(root.join(format!("mesh-test-{}-{name}", std::process::id())))
    }

    pub fn below(&self, name: &str) -> Self {
        Self::at(self.path.join(name))
    }

    fn at(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let dir = File::open(&path).unwrap();
        Self { path, dir }
    }

    /// Puts a process there.
    pub fn take(&self, child: &Child) {
        fs::write(self.path.join("cgroup.procs"), child.id().to_string()).unwrap();
    }
}

impl AsFd for Group {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        while fs::read_to_string(self.path.join("cgroup.events")).unwrap_or_default().contains("populated 1")
        {
            std::thread::yield_now();
        }
        fs::remove_dir(&self.path).unwrap();
    }
}

/// A program of ours that waits in its group for a line.
pub struct Workload {
    /// The group's number.
    pub group: u64,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Workload {
    pub fn new(group: &Group, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        group.take(&child);
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let group = group.dir.metadata().unwrap().ino();
        Self { group, child, stdin, stdout }
    }

    pub fn go(&mut self) {
        writeln!(self.stdin, "go").unwrap();
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// All that it has still to say.
    pub fn end(self) -> String {
        self.end_with(0)
    }

    /// The same of one that ends with this status.
    pub fn end_with(mut self, status: i32) -> String {
        let mut said = String::new();
        self.stdout.read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(status), "{said}");
        said
    }
}
