//! Machine: cores, clocks and memory as the kernel accounts them.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where a bench runs its parts.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// For the proxy under test, and nothing else.
    pub proxy: usize,
    /// For the load and the backend.
    pub load: usize,
}

impl Cores {
    /// The first two cores this process may use.
    pub fn find() -> Result<Self> {
        let set = sched_getaffinity(None)?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core));
        let (proxy, load) = (cores.next(), cores.next());
        let (proxy, load) =
            proxy.zip(load).context("two cores are needed: one for the proxy, one for its load")?;
        Ok(Self { proxy, load })
    }
}

/// Binds the calling thread to `core`, and has its timers ring when they should (the kernel's default is up to 50 us late).
pub fn bind_thread(core: usize) -> io::Result<()> {
    sched_setaffinity(None, &only(core))?;
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    Ok(())
}

/// Binds every thread of a running process to `core`.
pub fn bind_process(pid: u32, core: usize) -> Result<()> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let thread = task?.file_name().to_string_lossy().parse::<i32>()?;
        sched_setaffinity(rustix::thread::Pid::from_raw(thread), &only(core))?;
    }
    Ok(())
}

fn only(core: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(core);
    set
}

/// CPU time a process has used, all its threads, user and system.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // the name is in parentheses and may hold anything
    let (_, rest) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = fields
        .get(11..13)
        .context("/proc/PID/stat is short")?
        .iter()
        .map_while(|f| f.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_nanos(ticks * 1_000_000_000 / rustix::param::clock_ticks_per_second()))
}

/// Memory of one process in kB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Resident: shared pages count in full in every process.
    pub rss: u64,
    /// Proportional: shared pages count in parts.
    pub pss: u64,
}

impl std::ops::Add for Memory {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { rss: self.rss + other.rss, pss: self.pss + other.pss }
    }
}

/// What a process holds now.
pub fn memory(pid: u32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse().ok())
            .with_context(|| format!("no {name} of {pid}"))
    };
    Ok(Memory { rss: field("Rss:")?, pss: field("Pss:")? })
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// Where programs are looked for; Debian leaves the folders with nginx and haproxy out of a plain user's.
pub fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin");
    path
}

/// Whether a program can be started by its name.
pub fn has_program(name: &str) -> bool {
    std::env::split_paths(&path()).any(|folder| folder.join(name).is_file())
}

/// What this machine is, for the head of the table.
pub fn describe() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown CPU");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} cores, Linux {}, load before {}",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim(),
        load.split_whitespace().next().unwrap_or("unknown"),
    )
}
