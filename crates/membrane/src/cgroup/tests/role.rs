//! What the processes in the tests' groups do. They are this very program, so that nothing else has to be there: the test
//! [`role`] is what they run. Each is bounded by itself as well, should a limit not hold.

#![expect(unsafe_code, reason = "processes that only wait are made by fork")]

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use super::super::Cgroups;

const ROLE: &str = "MESH_TEST_ROLE";
const JOIN: &str = "MESH_TEST_JOIN";
const USER: &str = "MESH_TEST_USER";
/// After so many seconds everything ends.
const LIFE: u32 = 120;
const MIB: usize = 1 << 20;

/// A process in a role.
pub struct Actor {
    pub child: Child,
    said: BufReader<ChildStdout>,
}

impl Actor {
    /// Starts `role`, in the groups whose files are `join`.
    pub fn start(role: &str, join: &[PathBuf], user: Option<u32>) -> Self {
        let join: Vec<&str> = join.iter().map(|path| path.to_str().unwrap()).collect();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "cgroup::tests::role::role", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(JOIN, join.join(":"))
            .env(USER, user.unwrap_or(0).to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// The next thing it says; `None` when it has ended.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            if let Some((_, text)) = line.trim_end().split_once("role: ") {
                return Some(text.to_owned());
            }
            line.clear();
        }
        None
    }

    /// Lets it go on, or end when it has nothing more to do.
    pub fn go_on(&mut self) {
        self.child.stdin.take();
    }

    pub fn signal(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        self.child.wait().unwrap().signal()
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "role: {text}").unwrap();
    stdout.flush().unwrap();
}

fn await_word() {
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Not a test by itself.
#[test]
fn role() {
    let Ok(role) = std::env::var(ROLE) else { return };
    // SAFETY: ends this process in a while, whatever happens; and makes it a user's.
    unsafe {
        libc::alarm(LIFE);
    }
    for file in std::env::var(JOIN).unwrap().split(':').filter(|file| !file.is_empty()) {
        std::fs::write(file, "0").unwrap();
    }
    let user: u32 = std::env::var(USER).unwrap().parse().unwrap();
    if user != 0 {
        // SAFETY: plain system calls.
        assert!(unsafe { libc::setgid(user) == 0 && libc::setuid(user) == 0 });
    }
    let words: Vec<&str> = role.split(' ').collect();
    match words[..] {
        ["stay"] => {
            say("here");
            await_word();
        }
        ["hog", mib] => hog(mib.parse().unwrap()),
        ["tree", count] => tree(count.parse().unwrap()),
        ["burn"] => burn(),
        ["spin", each] => spin(each.parse().unwrap()),
        ["prepare", unique, record] => {
            let cgroups = Cgroups::prepare(unique, Path::new(record));
            say(&serde_json::to_string(&cgroups).unwrap());
            await_word();
            cgroups.close();
        }
        _ => panic!("{role}"),
    }
}

/// Takes memory, a MiB at a time, with a child beside it that does nothing wrong.
fn hog(mib: usize) {
    assert!(mib <= 1024);
    fork_waiting();
    say("hungry");
    await_word();
    let mut all = Vec::new();
    for _ in 0..mib {
        all.push(std::hint::black_box(vec![1u8; MIB]));
    }
    say(&format!("has {}", all.len()));
}

/// Makes as many processes as it can, at most `count`; they stay until they are killed.
fn tree(count: usize) {
    assert!(count <= 2000);
    let made = (0..count).take_while(|_| fork_waiting()).count();
    say(&format!("made {made}"));
    await_word();
}

fn fork_waiting() -> bool {
    // SAFETY: the child only waits for its end, in system calls.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(LIFE);
                loop {
                    libc::pause();
                }
            }
            pid => pid > 0,
        }
    }
}

/// Wants every CPU with so many threads, none of which goes to another: when the kernel moves threads, and which, depends on
/// how fast the machine is.
fn spin(each: usize) {
    let cpus = std::thread::available_parallelism().unwrap().get();
    say("spinning");
    for thread in 1..each * cpus {
        std::thread::spawn(move || use_up(thread % cpus));
    }
    use_up(0)
}

fn burn() {
    say("burning");
    use_up(0)
}

/// Uses all of a CPU.
fn use_up(cpu: usize) -> ! {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    rustix::thread::sched_setaffinity(None, &set).unwrap();
    loop {
        std::hint::black_box(0);
    }
}
