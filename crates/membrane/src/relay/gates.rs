//! Gates: the sockets that a relay takes what is sent with, in both networks.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use crate::bpf::Reach;

/// How many connections may wait to be accepted; the kernel has a bound of its own.
pub(super) const BACKLOG: i32 = 4096;

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    Stream,
    Datagram,
}

/// A place in the room's network where the relay is in place of whoever is there in the machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Gate {
    pub transport: Transport,
    /// One address, or all of its family.
    pub at: SocketAddr,
}

impl Gate {
    /// Whether it is the port of all addresses.
    pub const fn is_any(&self) -> bool {
        self.at.ip().is_unspecified()
    }
}

/// Those of a reach; both relays know them in the same order.
pub(super) fn of(reach: &Reach) -> Vec<Gate> {
    let tcp = reach.tcp.iter().map(|place| (Transport::Stream, place));
    let udp = reach.udp.iter().map(|place| (Transport::Datagram, place));
    let mut gates = Vec::new();
    for (transport, (address, port)) in tcp.chain(udp) {
        let all = |address: &IpAddr| match address.to_canonical() {
            // What the kernel takes "no address" for.
            IpAddr::V4(address) if address.is_unspecified() => vec![Ipv4Addr::LOCALHOST.into()],
            IpAddr::V6(address) if address.is_unspecified() => vec![Ipv6Addr::LOCALHOST.into()],
            address => vec![address],
        };
        let any = || vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let addresses = address.as_ref().map_or_else(any, all);
        gates.extend(addresses.into_iter().map(|ip| Gate { transport, at: SocketAddr::new(ip, *port) }));
    }
    gates.sort_unstable();
    gates.dedup();
    // Two sockets can't both take a port, one of them at all addresses.
    let whole: Vec<Gate> = gates.iter().copied().filter(Gate::is_any).collect();
    let covered = |gate: &Gate| {
        let same = |any: &Gate| {
            any.transport == gate.transport
                && any.at.port() == gate.at.port()
                && any.at.is_ipv4() == gate.at.is_ipv4()
        };
        !gate.is_any() && whole.iter().any(same)
    };
    gates.retain(|gate| !covered(gate));
    gates
}

/// The sockets for what comes in, in the machine's network: bound, so that the port is nobody else's, and deaf until the
/// workload listens.
pub(super) fn outside(ports: &[u16]) -> io::Result<Vec<(OwnedFd, SocketAddr)>> {
    let mut all = Vec::new();
    for port in ports {
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let at = SocketAddr::new(ip, *port);
            match bound(SocketType::STREAM, at) {
                Ok(socket) => all.push((socket, at)),
                // Nobody asks there.
                Err(_) if at.is_ipv6() => {}
                Err(error) => return Err(named(&format!("listen on {at}"), error)),
            }
        }
    }
    Ok(all)
}

/// The socket of a gate, in the room's network.
pub(super) fn inside(gate: &Gate) -> io::Result<OwnedFd> {
    let made = || -> io::Result<OwnedFd> {
        match gate.transport {
            Transport::Stream => {
                let socket = bound(SocketType::STREAM, gate.at)?;
                rustix::net::listen(&socket, BACKLOG)?;
                Ok(socket)
            }
            Transport::Datagram => bound(SocketType::DGRAM, gate.at),
        }
    };
    made().map_err(|error| named(&format!("be {}", gate.at), error))
}

/// A socket of the family of an address.
pub(super) fn socket(kind: SocketType, like: SocketAddr) -> io::Result<OwnedFd> {
    let family = if like.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, kind, flags, None)?;
    if kind == SocketType::STREAM {
        // What the ends put together stays so, and what they send at once goes on at once.
        sockopt::set_tcp_nodelay(&socket, true)?;
    }
    Ok(socket)
}

fn bound(kind: SocketType, at: SocketAddr) -> io::Result<OwnedFd> {
    let socket = socket(kind, at)?;
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if at.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
        // A route alone makes no address one's own there.
        sockopt::set_ip_freebind(&socket, true).or_else(|_| sockopt::set_ipv6_freebind(&socket, true))?;
    }
    if kind == SocketType::DGRAM && at.ip().is_unspecified() {
        super::datagrams::tell_destinations(&socket, at)?;
    }
    rustix::net::bind(&socket, &at)?;
    Ok(socket)
}

/// Whether there is IPv6 here.
pub(super) fn has_ipv6() -> bool {
    let at = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    socket(SocketType::STREAM, at).is_ok_and(|socket| rustix::net::bind(&socket, &at).is_ok())
}

pub(super) fn named(what: &str, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    let why = match error.raw_os_error() {
        Some(number) if Errno::from_raw_os_error(number) == Errno::ADDRINUSE => {
            "another process has it".to_owned()
        }
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("{what}: {why}"))
}
