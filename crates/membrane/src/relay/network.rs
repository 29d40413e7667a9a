//! The network of a room: its loopback interface, and routes by which what may be reached ends there (`rtnetlink(7)`).

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::gates::{self, Gate};

// linux/netlink.h, linux/rtnetlink.h
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const REPLACE: u16 = 0x100;
const CREATE: u16 = 0x400;
const ERROR: u16 = 2;
const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;
/// The table that says which addresses are one's own.
const LOCAL_TABLE: u8 = 255;
const BY_BOOT: u8 = 3;
const SCOPE_HOST: u8 = 254;
const LOCAL: u8 = 2;
const DESTINATION: u16 = 1;
const INTERFACE: u16 = 4;
/// The number of `lo` in every network.
const LO: u32 = 1;
/// `IFF_UP`.
const UP: u32 = 1;

/// Brings up `lo`. To be called in that network, with its capabilities; as is what follows.
pub(super) fn raise() -> io::Result<()> {
    ask(&socket()?, NEW_LINK, 0, &link()).map_err(|error| gates::named("bring up lo", error))
}

/// Has all that the gates are be addresses of its own.
pub(super) fn take<'a>(gates: impl Iterator<Item = &'a Gate>) -> io::Result<()> {
    let socket = socket()?;
    for ip in gates.map(|gate| gate.at.ip()).filter(|ip| !ip.is_loopback()) {
        ask(&socket, NEW_ROUTE, CREATE | REPLACE, &route(ip))
            .map_err(|error| gates::named(&format!("take {ip} for its own"), error))?;
    }
    Ok(())
}

fn socket() -> io::Result<OwnedFd> {
    let (kind, flags) = (SocketType::RAW, SocketFlags::CLOEXEC);
    // The first of netlink's protocols, which is number 0: `NETLINK_ROUTE`.
    Ok(rustix::net::socket_with(AddressFamily::NETLINK, kind, flags, None)?)
}

/// `struct ifinfomsg`.
fn link() -> Vec<u8> {
    let mut bytes = vec![0; 4];
    for number in [LO, UP, UP] {
        bytes.extend(number.to_ne_bytes());
    }
    bytes
}

/// `struct rtmsg`, and its attributes: this address, or where it is none all of its family, is on `lo`.
fn route(ip: IpAddr) -> Vec<u8> {
    let (family, octets) = match ip {
        IpAddr::V4(ip) => (libc::AF_INET as u8, ip.octets().to_vec()),
        IpAddr::V6(ip) => (libc::AF_INET6 as u8, ip.octets().to_vec()),
    };
    let octets = if ip.is_unspecified() { Vec::new() } else { octets };
    let bits = (octets.len() * 8) as u8;
    let mut bytes = vec![family, bits, 0, 0, LOCAL_TABLE, BY_BOOT, SCOPE_HOST, LOCAL];
    bytes.extend(0_u32.to_ne_bytes());
    let mut attribute = |kind: u16, value: &[u8]| {
        bytes.extend((value.len() as u16 + 4).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
    };
    if !octets.is_empty() {
        attribute(DESTINATION, &octets);
    }
    attribute(INTERFACE, &LO.to_ne_bytes());
    bytes
}

/// One request, done or refused.
fn ask(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let mut bytes = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend((REQUEST | ACK | flags).to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    rustix::net::sendto(socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 1024];
    let (_, length) = rustix::net::recv(socket, &mut answer[..], RecvFlags::empty())?;
    let answer = answer.get(..length).unwrap_or_default();
    let half = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let word = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (half, word) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(number)) => Err(io::Error::from_raw_os_error(-number)),
        _ => Err(io::Error::other("the kernel's answer is none")),
    }
}
