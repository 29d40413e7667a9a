//! Whether a process tree listens on a port: the kernel names the socket (sock_diag(7)), `/proc/PID/fd` its
//! holders. `/proc/net/tcp` would say the same, after a walk through the whole table of connections.

use std::fs;
use std::net::Ipv4Addr;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

/// `SOCK_DIAG_BY_FAMILY`, of the request and of its answer.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// The length of the request: `nlmsghdr` and `inet_diag_req_v2`.
const REQUEST_BYTES: u32 = 16 + 56;
/// Where `idiag_inode` stands in the answer: behind `nlmsghdr` and the rest of `inet_diag_msg`.
const INODE_AT: usize = 16 + 68;
/// A replica with more processes than this is not looked through to the end.
const MAX_PROCESSES: usize = 256;

/// Whether `pid` or a descendant of it listens on `port` of the loopback address; nothing when we may not see it.
pub(super) fn listens(pid: u32, port: u16) -> Option<bool> {
    let socket = format!("socket:[{}]", listener(port)?);
    let mut processes = vec![pid];
    let mut next = 0;
    while let Some(process) = processes.get(next).copied() {
        if holds(process, &socket)? {
            return Some(true);
        }
        if processes.len() < MAX_PROCESSES {
            processes.extend(children(process));
        }
        next += 1;
    }
    Some(false)
}

/// The inode of the socket that takes connections to `127.0.0.1:port`.
fn listener(port: u16) -> Option<u32> {
    let (kind, flags) = (SocketType::DGRAM, SocketFlags::CLOEXEC);
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, Some(netlink::SOCK_DIAG)).ok()?;
    rustix::net::sendto(&socket, &request(port), SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).ok()?;
    // The kernel has answered by the time the request is sent.
    let mut answer = [0; 512];
    let (_, length) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT).ok()?;
    inode(answer.get(..length)?)
}

/// Asks for the one socket that a connection to the port would reach, in the layout of `linux/inet_diag.h`.
fn request(port: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(REQUEST_BYTES.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    bytes.extend([0; 8]); // sequence and port id: one question, one answer
    let (inet, tcp) = (2, 6);
    bytes.extend([inet, tcp, 0, 0]);
    bytes.extend(u32::MAX.to_ne_bytes()); // in any state
    bytes.extend(port.to_be_bytes());
    bytes.extend([0; 2]); // from any port
    bytes.extend(Ipv4Addr::LOCALHOST.octets());
    bytes.extend([0; 12]);
    bytes.extend([0; 16]); // from any address
    bytes.extend([0; 4]); // on any interface
    bytes.extend([0xff; 8]); // whatever its cookie
    bytes
}

fn inode(answer: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let inode = u32::from_ne_bytes(answer.get(INODE_AT..INODE_AT + 4)?.try_into().ok()?);
    (kind == BY_FAMILY && inode != 0).then_some(inode)
}

fn holds(pid: u32, socket: &str) -> Option<bool> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let mut links = open.filter_map(Result::ok).filter_map(|entry| fs::read_link(entry.path()).ok());
    Some(links.any(|link| link.to_str() == Some(socket)))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists =
        tasks.filter_map(Result::ok).filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}
