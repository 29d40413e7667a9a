//! The namespaces that one test lives in: processes, network and mounts of its own, so that nothing of it can
//! be left, however it ends.
//!
//! ```text
//! runner ── stdin ──▶ unshare ──▶ init (process 1) ──▶ test ──▶ mesh, keepers, workloads
//! ```
//! When the runner ends, by whatever signal, init's stdin ends; when init ends, the kernel kills every process
//! of the namespace, and with the last of them go its networks, links and mounts.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::LazyLock;

use rustix::process::{Pid, Signal, WaitOptions, kill_process};

/// Says to this program's own children what they are: `init NAME` or `test NAME`.
const ROLE: &str = "MESH_HOSTS_ROLE";
/// Where a disk of the cell's own is mounted: at the first that is an empty folder, so that it hides nothing.
/// Short, and open to all users, unlike a build's folder.
const MOUNT_POINTS: [&str; 4] = ["/srv", "/media", "/mnt", env!("CARGO_TARGET_TMPDIR")];

/// What this process is.
pub enum Role {
    /// Runs the tests, each in a cell.
    Runner,
    /// The first process of a cell.
    Init,
    /// The test of this name, in its cell.
    Test(String),
}

/// Reads the role off the environment.
pub fn role() -> Role {
    let role = std::env::var(ROLE).unwrap_or_default();
    match role.split_once(' ') {
        Some(("test", name)) => Role::Test(name.to_owned()),
        Some(_) => Role::Init,
        None => Role::Runner,
    }
}

/// Why cells can't be made here; `None` when they can.
pub fn refused() -> Option<String> {
    if let Err(error) = Command::new("ip").arg("-Version").stdout(Stdio::null()).status() {
        return Some(format!("`ip` of iproute2 can't be run: {error}"));
    }
    // All that a test will need, once: a link, an address in both families, a rule, a disk, a host's name.
    let script = format!(
        "ip link add link0 type veth peer name link1 && ip addr add 10.7.0.1/24 dev link0 \
        && ip -6 addr add fd07::1/64 dev link0 && ip rule add pref 100 iif link0 blackhole \
        && ip -6 rule add pref 100 iif link0 blackhole && hostname h0 && mount -t tmpfs cell {}",
        mount_point().display()
    );
    match unshare().args(["--uts", "sh", "-ec", &script]).stdin(Stdio::null()).output() {
        Err(error) => Some(format!("`unshare` of util-linux can't be run: {error}")),
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Some(format!("no namespaces: {}", said.lines().next().unwrap_or("no reason was given")))
        }
    }
}

/// The command that runs a test in a cell of its own. Its stdin must be piped and held open.
pub fn command(test: &str) -> Command {
    let mut command = unshare();
    command.arg(std::env::current_exe().unwrap()).env(ROLE, format!("init {test}"));
    command
}

fn unshare() -> Command {
    /// Whether it takes a user namespace to make the others: for all but root, and for root in most containers.
    static AS_USER: LazyLock<bool> = LazyLock::new(|| {
        let mut command = Command::new("unshare");
        let made = command.args(["--net", "--mount", "true"]).stderr(Stdio::null()).status();
        !made.is_ok_and(|status| status.success())
    });
    let mut command = Command::new("unshare");
    if *AS_USER {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    command
}

/// Starts the test, buries whoever loses its parent, and ends with the test or with the runner.
#[expect(clippy::zombie_processes, reason = "the loop buries it, with all others")]
pub fn init() -> ExitCode {
    // Where the test will have its disk, as long as nothing is there.
    let disk = mount_point();
    let role = std::env::var(ROLE).unwrap().replacen("init", "test", 1);
    let test =
        Command::new(std::env::current_exe().unwrap()).env(ROLE, role).stdin(Stdio::null()).spawn().unwrap();
    let test = Pid::from_child(&test);
    std::thread::spawn(move || {
        let mut nothing = [0];
        drop(std::io::stdin().read(&mut nothing));
        let _ = kill_process(test, Signal::KILL);
    });
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == test => {
                let code = status.exit_status().and_then(|code| u8::try_from(code).ok());
                clear(disk);
                return ExitCode::from(code.unwrap_or(101));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("process 1 has no children: {error}"),
        }
    }
}

/// Removes the groups that the hosts' keepers had, which are the machine's: nobody is left to be in them.
fn clear(disk: &Path) {
    while everybody().next().is_some() {
        for pid in everybody() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = rustix::process::wait(WaitOptions::empty());
    }
    let hosts = disk.read_dir().unwrap().map(|host| host.unwrap().path());
    for record in hosts.filter_map(|host| std::fs::read_to_string(host.join("state/keeper/cgroups")).ok()) {
        record.lines().for_each(|group| remove(Path::new(group)));
    }
}

/// Whoever is in this cell beside its first process.
fn everybody() -> impl Iterator<Item = Pid> {
    let names = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let pids = names.filter_map(|name| name.to_str()?.parse().ok().and_then(Pid::from_raw));
    pids.filter(|pid| !pid.is_init())
}

/// Removes a group and those below it; what a keeper of this machine's has isn't empty, and stays.
fn remove(group: &Path) {
    for below in group.read_dir().into_iter().flatten().flatten().filter(|entry| entry.path().is_dir()) {
        remove(&below.path());
    }
    drop(std::fs::remove_dir(group));
}

/// Mounts a disk of this size; it is there for this cell alone.
pub fn mount_disk(at: &Path, size: &str) {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size},mode=0755"), "cell"])
        .arg(at)
        .status()
        .unwrap();
    assert!(mounted.success(), "no disk at {}", at.display());
}

/// An empty folder for everything that a test writes; gone with the cell.
pub fn folder() -> PathBuf {
    let at = mount_point().to_owned();
    mount_disk(&at, "64m");
    at
}

fn mount_point() -> &'static Path {
    let empty = |path: &&str| std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    Path::new(MOUNT_POINTS.into_iter().find(empty).expect("one of them is empty"))
}
