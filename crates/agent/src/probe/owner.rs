//! Whether a process tree listens on a port: `/proc/net/tcp` names the socket, `/proc/PID/fd` its holders.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};

/// The `st` column of a listening socket.
const LISTEN: &str = "0A";
/// A replica with more processes than this is not looked through to the end.
const MAX_PROCESSES: usize = 256;

/// Whether `pid` or a descendant of it listens on `port`; nothing when we may not see it.
pub(super) fn listens(pid: u32, port: u16) -> Option<bool> {
    let sockets: BTreeSet<String> =
        ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().flat_map(|table| listening(table, port)).collect();
    if sockets.is_empty() {
        // It answered a moment ago and the table doesn't show it: a network of its own, or it just left.
        return None;
    }
    let mut processes = vec![pid];
    let mut next = 0;
    while let Some(process) = processes.get(next).copied() {
        if holds(process, &sockets)? {
            return Some(true);
        }
        if processes.len() < MAX_PROCESSES {
            processes.extend(children(process));
        }
        next += 1;
    }
    Some(false)
}

/// The sockets (`socket:[inode]`) of `table` that listen on `port`. The kernel lists listeners first, so
/// that the connections of a busy machine needn't be read.
fn listening(table: &str, port: u16) -> Vec<String> {
    let Ok(file) = File::open(table) else { return Vec::new() };
    let mut found = Vec::new();
    for line in BufReader::with_capacity(4096, file).lines().skip(1).map_while(Result::ok) {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (Some(local), Some(state), Some(inode)) = (columns.get(1), columns.get(3), columns.get(9)) else {
            continue;
        };
        if *state != LISTEN {
            break;
        }
        let local_port = local.rsplit(':').next().and_then(|hex| u16::from_str_radix(hex, 16).ok());
        if local_port == Some(port) {
            found.push(format!("socket:[{inode}]"));
        }
    }
    found
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> Option<bool> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut links = open.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok());
    Some(links.any(|link| link.to_str().is_some_and(|link| sockets.contains(link))))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        tasks.filter_map(Result::ok).filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
