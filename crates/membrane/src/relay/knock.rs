//! Whether the workload listens where it is asked for: a door of the relay's is open only while somebody is behind it.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{SocketType, sockopt};

use super::gates;

/// How soon one looks again, and how late.
const FIRST_WAIT: Duration = Duration::from_millis(1);
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The wait is this part of the time waited so far: what listens is found at most so much late.
const WAIT_PART: u32 = 8;
/// So much of a table is read. Those who listen stand at its beginning.
const MAX_TABLE: usize = 64 << 10;
/// `TCP_LISTEN`, as the tables have it.
const LISTENS: &str = "0A";

/// The tables of those who listen, in the network that they were opened in.
#[derive(Debug)]
pub(super) struct Tables {
    v4: File,
    v6: Option<File>,
}

/// A door that is shut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shut {
    since: Instant,
    /// When to look again.
    pub next: Instant,
}

impl Tables {
    /// Opens those of the network that this process is in.
    pub fn open() -> io::Result<Self> {
        Ok(Self { v4: File::open("/proc/self/net/tcp")?, v6: File::open("/proc/self/net/tcp6").ok() })
    }

    /// Whether a connection to this address, one of loopback, would be taken.
    pub fn is_awaited(&self, at: SocketAddr, buffer: &mut [u8]) -> bool {
        let mut listeners = |table: &File| listeners(table, at.port(), buffer);
        let v4 = if at.is_ipv4() { listeners(&self.v4) } else { Vec::new() };
        let v6 = self.v6.as_ref().map(&mut listeners).unwrap_or_default();
        let [any, own] = if at.is_ipv4() { ["00000000", LOOPBACK_V4] } else { [ANY_V6, LOOPBACK_V6] };
        let named = if at.is_ipv4() { &v4 } else { &v6 };
        if named.iter().any(|address| address == any || address == own) {
            return true;
        }
        // IPv6 takes what is asked for by IPv4 as well, unless it was told not to: the table doesn't say, but then the
        // port is free.
        at.is_ipv4() && v6.iter().any(|address| address == ANY_V6 || address == MAPPED) && is_taken(at)
    }
}

const ANY_V6: &str = "00000000000000000000000000000000";
// Words as the machine has them in memory.
#[cfg(target_endian = "little")]
const LOOPBACK_V4: &str = "0100007F";
#[cfg(target_endian = "little")]
const LOOPBACK_V6: &str = "00000000000000000000000001000000";
#[cfg(target_endian = "little")]
const MAPPED: &str = "0000000000000000FFFF00000100007F";
#[cfg(target_endian = "big")]
const LOOPBACK_V4: &str = "7F000001";
#[cfg(target_endian = "big")]
const LOOPBACK_V6: &str = "00000000000000000000000000000001";
#[cfg(target_endian = "big")]
const MAPPED: &str = "00000000000000000000FFFF7F000001";

impl Shut {
    pub fn now(now: Instant) -> Self {
        Self { since: now, next: now }
    }

    pub fn again(&mut self, now: Instant) {
        let waited = now.saturating_duration_since(self.since);
        self.next = now + (waited / WAIT_PART).clamp(FIRST_WAIT, LAST_WAIT);
    }
}

fn is_taken(at: SocketAddr) -> bool {
    let tried = || -> io::Result<()> {
        let socket = gates::socket(SocketType::STREAM, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        Ok(rustix::net::bind(&socket, &at)?)
    };
    tried().is_err_and(|error| error.raw_os_error() == Some(Errno::ADDRINUSE.raw_os_error()))
}

/// The addresses at which somebody listens on a port, as the table has them.
fn listeners(table: &File, port: u16, buffer: &mut [u8]) -> Vec<String> {
    let most = buffer.len().min(MAX_TABLE);
    let mut length = 0;
    while let Ok(count @ 1..) = table.read_at(&mut buffer[length..most], length as u64) {
        length += count;
    }
    of(&String::from_utf8_lossy(&buffer[..length]), port)
}

/// Of lines `sl local_address rem_address st …`.
pub(super) fn of(table: &str, port: u16) -> Vec<String> {
    let read = |line: &str| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (local, _, state) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, its) = local.split_once(':')?;
        let is_it = state == LISTENS && u16::from_str_radix(its, 16) == Ok(port);
        is_it.then(|| address.to_owned())
    };
    table.lines().skip(1).filter_map(read).collect()
}
