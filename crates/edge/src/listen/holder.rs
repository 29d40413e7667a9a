//! Who holds a port: found as `ss -ltnp` does, in `/proc`, as far as this user may look.

use std::fs;
use std::net::SocketAddr;

/// What to say when it can't be found out.
const SOMEBODY: &str = "another process";

/// Names the process that listens on the port of `addr`.
pub(super) fn of(addr: SocketAddr) -> String {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| inode_of(line, addr.port()))
    });
    inode.and_then(|inode| process_with(&format!("socket:[{inode}]"))).unwrap_or_else(|| SOMEBODY.to_owned())
}

/// The socket's inode if this line of `/proc/net/tcp` is about a listener on `port`.
fn inode_of(line: &str, port: u16) -> Option<String> {
    let columns: Vec<_> = line.split_whitespace().collect();
    let local = u16::from_str_radix(columns.get(1)?.rsplit(':').next()?, 16).ok()?;
    let listens = *columns.get(3)? == "0A";
    (listens && local == port).then(|| columns.get(9).map(ToString::to_string))?
}

fn process_with(socket: &str) -> Option<String> {
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket))?;
        let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        Some(format!("{} (pid {pid})", name.trim()))
    })
}
