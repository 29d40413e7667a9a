//! What this machine is and has: its name, CPUs and memory, as nodes publish them.

use std::fs;

use types::Nutrients;

/// What all nodes of this machine share.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// The kernel's host name.
    pub(crate) host: String,
    /// All of it.
    pub(crate) capacity: Nutrients,
}

impl Machine {
    /// Reads `/proc`; what can't be read counts as the least a machine has.
    pub(crate) fn read() -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_kib(&text)).unwrap_or(0);
        Self {
            host: host.trim().to_owned(),
            capacity: Nutrients { cpu_milli: cpus * 1000, memory_mb: memory / 1024 },
        }
    }

    /// The share of one of `nodes` nodes that run here.
    pub(crate) fn share(&self, nodes: u32) -> Nutrients {
        let nodes = u64::from(nodes.max(1));
        Nutrients { cpu_milli: self.capacity.cpu_milli / nodes, memory_mb: self.capacity.memory_mb / nodes }
    }
}

/// `MemTotal` of proc_meminfo(5), in KiB.
fn total_kib(text: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?
        .trim()
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()
}
