//! Glances: which processes a workload has at this moment, and which connections they hold, as `/proc` says it.
//!
//! For where the kernel tells nothing by itself: what comes and goes between two glances isn't seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::procfs::{self, Stat};

/// So much of a table of sockets is read.
const MAX_TABLE: u64 = 8 << 20;
/// So many descriptors of a process are looked at.
const MAX_FDS: usize = 4096;
/// TCP states (`net/tcp_states.h`): established, asked for, listening.
const OPEN: [u8; 2] = [1, 2];
const LISTENS: u8 = 10;

/// A process of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glanced {
    /// Its number, and when it was started: together they are no other's.
    pub pid: u32,
    /// In ticks since the machine was started.
    pub started: u64,
    /// What it calls itself.
    pub name: String,
    /// What it executes, where that may be known.
    pub program: Option<PathBuf>,
    /// The TCP connections that it has begun, each with the number of its socket.
    pub connections: BTreeSet<(u64, SocketAddr)>,
}

/// Looks at workloads, by their main processes: for each all processes that come from it, itself included, the eldest first.
/// Blocking; its cost is that of listing the machine's processes.
#[must_use]
pub fn glance(mains: &[u32]) -> Vec<Vec<Glanced>> {
    let all: BTreeMap<i32, Stat> =
        procfs::all().into_iter().filter_map(|pid| Some((pid, procfs::stat(pid)?))).collect();
    let own = space(std::process::id().cast_signed());
    // In a room, whoever loses its parent becomes a child of a process that isn't the workload's.
    let mut rooms: BTreeMap<PathBuf, Vec<i32>> = BTreeMap::new();
    if mains.iter().any(|main| space(main.cast_signed()) != own) {
        for pid in all.keys() {
            if let Some(space) = space(*pid).filter(|space| own.as_ref() != Some(space)) {
                rooms.entry(space).or_default().push(*pid);
            }
        }
    }
    mains
        .iter()
        .map(|main| {
            let main = main.cast_signed();
            let of_room = space(main).and_then(|space| rooms.get(&space));
            let members = of_room.map_or_else(|| descendants(main, &all), |room| of(room, &all));
            let sockets = connections(main);
            let mut found: Vec<_> =
                members.into_iter().filter_map(|pid| glanced(pid, all.get(&pid)?, &sockets)).collect();
            found.sort_by_key(|process| (process.started, process.pid));
            found
        })
        .collect()
}

/// Those of a room but its process 1, whose parent lives outside, and isn't the parent of the rest.
fn of(room: &[i32], all: &BTreeMap<i32, Stat>) -> Vec<i32> {
    let is_host = |pid: &i32| name(*pid).is_some_and(|name| name == "mesh-room");
    room.iter().filter(|pid| all.contains_key(pid) && !is_host(pid)).copied().collect()
}

fn descendants(main: i32, all: &BTreeMap<i32, Stat>) -> Vec<i32> {
    let mut found = Vec::new();
    let mut next = vec![main];
    while let Some(pid) = next.pop() {
        if all.contains_key(&pid) && !found.contains(&pid) {
            found.push(pid);
            next.extend(all.iter().filter(|(_, stat)| stat.parent == pid).map(|(pid, _)| *pid));
        }
    }
    found.sort_unstable();
    found
}

fn glanced(pid: i32, stat: &Stat, sockets: &BTreeMap<u64, SocketAddr>) -> Option<Glanced> {
    if stat.zombie {
        return None;
    }
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let held = if sockets.is_empty() { BTreeSet::new() } else { held(pid) };
    let connections =
        sockets.iter().filter(|(inode, _)| held.contains(inode)).map(|(n, to)| (*n, *to)).collect();
    Some(Glanced { pid: pid.cast_unsigned(), started: stat.started, name: name(pid)?, program, connections })
}

fn name(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// The process namespace of a process.
fn space(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// The sockets that a process holds, by number.
fn held(pid: i32) -> BTreeSet<u64> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return BTreeSet::new() };
    let number = |path: &Path| {
        let link = fs::read_link(path).ok()?;
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    entries.flatten().take(MAX_FDS).filter_map(|entry| number(&entry.path())).collect()
}

/// Connections in the network of a process which were begun on this machine, by the numbers of their sockets.
fn connections(pid: i32) -> BTreeMap<u64, SocketAddr> {
    let rows: Vec<Row> = ["tcp", "tcp6"].iter().flat_map(|table| rows(pid, table)).collect();
    let listened: BTreeSet<u16> =
        rows.iter().filter(|row| row.state == LISTENS).map(|row| row.port).collect();
    let begun = rows.iter().filter(|row| OPEN.contains(&row.state) && !listened.contains(&row.port));
    begun.map(|row| (row.inode, row.remote)).collect()
}

fn rows(pid: i32, table: &str) -> Vec<Row> {
    let mut text = String::new();
    let Ok(file) = fs::File::open(format!("/proc/{pid}/net/{table}")) else { return Vec::new() };
    // A table that is cut off says less, and nothing false.
    let _ = file.take(MAX_TABLE).read_to_string(&mut text);
    text.lines().skip(1).filter_map(Row::read).collect()
}

/// A line of `/proc/PID/net/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// Of the socket's own end.
    port: u16,
    remote: SocketAddr,
    state: u8,
    inode: u64,
}

impl Row {
    /// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`.
    fn read(line: &str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
        let state = u8::from_str_radix(fields.next()?, 16).ok()?;
        let inode = fields.nth(5)?.parse().ok()?;
        Some(Self { port: local.port(), remote, state, inode })
    }
}

/// `0100007F:1F90`: words of 32 bits as the machine has them in memory, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| Some(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (number, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(8 * number)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

#[cfg(test)]
mod tests;
