//! What the kernel holds processes to, by their groups in either hierarchy.

/// The limit of memory that the kernel holds a process to, in bytes.
pub fn memory_limit(pid: u64) -> u64 {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let of = |line: &str| -> Option<u64> {
        let mut parts = line.splitn(3, ':').skip(1);
        let file = match (parts.next()?, parts.next()?) {
            ("memory", path) => format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes"),
            ("", path) => format!("/sys/fs/cgroup{path}/memory.max"),
            _ => return None,
        };
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    };
    groups.lines().find_map(of).unwrap_or_else(|| panic!("no limit of {pid} among\n{groups}"))
}
