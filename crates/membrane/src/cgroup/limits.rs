//! What a workload may use, and what of that is written to which file (`cgroups(7)`, the kernel's
//! `admin-guide/cgroup-v2` and `cgroup-v1`).

use serde::{Deserialize, Serialize};

use super::{Controller, Version};

/// How many processes and threads a workload may have that says nothing: room for a server with some hundred threads or a
/// compiler's jobs, and so few that fork bombs in 30 replicas together still leave a machine process ids (32,768).
const PIDS: u32 = 1024;
/// Of a second, in microseconds: over this long a quota of the CPU is counted.
const PERIOD: u64 = 100_000;
/// What v1 calls "no limit", and v2 too.
const NONE_V1: &str = "-1";
const NONE_V2: &str = "max";

/// How much a workload may use; what isn't said has no limit but that of processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Its share when the CPUs are wanted by more than there are, in thousandths of one; 0 is that of one CPU.
    pub cpu_milli: u32,
    /// The most it gets even when nobody else wants the CPUs, in thousandths of one; 0 for no limit.
    pub cpu_max_milli: u32,
    /// Bytes of memory, swapped ones and what the kernel and the page cache hold for it included; 0 for no limit.
    pub memory: u64,
    /// Processes and threads; 0 for 1024.
    pub pids: u32,
    /// Its share of the disks, 1 to 10,000 as `io.weight`; 0 is the kernel's default, 100.
    pub io_weight: u16,
    /// Files and sockets that each of its processes may have open, from its start on, as `RLIMIT_NOFILE`; 0 for 65,536, or
    /// as many as there are to give.
    pub open_files: u32,
    /// Bytes of its output that are kept, from its start on; 0 for as many as of any.
    pub log_bytes: u64,
    /// Whether its threads go before others' when they wake, as far as they haven't had more than their share: from its start
    /// on, and changed for all that it has then. Only Linux 6.12 and later can.
    pub first: bool,
}

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub file: &'static str,
    pub value: String,
    /// Whether it may be missing.
    pub optional: bool,
}

impl Setting {
    fn new(file: &'static str, value: impl ToString) -> Self {
        Self { file, value: value.to_string(), optional: false }
    }

    fn optional(file: &'static str, value: impl ToString) -> Self {
        Self { optional: true, ..Self::new(file, value) }
    }
}

impl Limits {
    /// What is written for one controller, in order. All of it each time, so that it also changes a group that has
    /// other limits.
    pub(super) fn settings(&self, version: Version, controller: Controller) -> Vec<Setting> {
        match (version, controller) {
            (Version::V2, Controller::Cpu) => vec![
                // Only those in the keeper's folder are weighed against each other: as fine as goes up to 40 CPUs.
                Setting::new("cpu.weight", self.cpu_share(250).clamp(1, 10_000)),
                Setting::new("cpu.max", format!("{} {PERIOD}", self.quota(NONE_V2))),
            ],
            (Version::V1, Controller::Cpu) => vec![
                Setting::new("cpu.shares", self.cpu_share(1024).clamp(2, 262_144)),
                // absent where the kernel was built without quotas
                Setting::optional("cpu.cfs_period_us", PERIOD),
                Setting::optional("cpu.cfs_quota_us", self.quota(NONE_V1)),
            ],
            (Version::V2, Controller::Memory) => vec![
                Setting::new("memory.oom.group", 1),
                // no swap, else a workload over its limit would slow down everybody's disk; absent without swap
                Setting::optional("memory.swap.max", 0),
                Setting::new("memory.max", self.memory(NONE_V2)),
            ],
            (Version::V1, Controller::Memory) => vec![
                // it may never be below the other, in either direction; absent where swap isn't counted
                Setting::optional("memory.memsw.limit_in_bytes", NONE_V1),
                Setting::new("memory.limit_in_bytes", self.memory(NONE_V1)),
                Setting::optional("memory.memsw.limit_in_bytes", self.memory(NONE_V1)),
            ],
            (_, Controller::Pids) => vec![Setting::new("pids.max", self.pids())],
            (Version::V2, Controller::Io) => vec![
                Setting::optional("io.weight", format!("default {}", self.io().clamp(1, 10_000))),
                Setting::optional("io.bfq.weight", format!("default {}", self.io().clamp(1, 1000))),
            ],
            // 10 to 1000 with the older scheduler, 1 to 1000 with BFQ, where 100 is the middle as well
            (Version::V1, Controller::Io) => vec![
                Setting::optional("blkio.weight", self.io().clamp(10, 1000)),
                Setting::optional("blkio.bfq.weight", self.io().clamp(1, 1000)),
            ],
            (_, Controller::Cpuacct | Controller::Freezer) => Vec::new(),
        }
    }

    /// The share, where one CPU's worth is `whole`.
    fn cpu_share(&self, whole: u64) -> u64 {
        let milli = if self.cpu_milli == 0 { 1000 } else { self.cpu_milli };
        u64::from(milli) * whole / 1000
    }

    /// Microseconds in each period; the kernel takes no less than 1000.
    fn quota(&self, none: &str) -> String {
        match u64::from(self.cpu_max_milli) {
            0 => none.to_owned(),
            milli => (milli * PERIOD / 1000).max(1000).to_string(),
        }
    }

    fn memory(&self, none: &str) -> String {
        if self.memory == 0 { none.to_owned() } else { self.memory.to_string() }
    }

    fn pids(&self) -> u32 {
        if self.pids == 0 { PIDS } else { self.pids }
    }

    fn io(&self) -> u16 {
        if self.io_weight == 0 { 100 } else { self.io_weight }
    }
}
