//! UDP: for each who sends and each to whom, a socket of their own in the machine's network, connected, so that nobody else
//! can answer; and the answers sent on from the very address that was sent to.

#![expect(unsafe_code, reason = "the address that a datagram was sent to has no safe binding here")]

use std::collections::BTreeMap;
use std::io;
use std::mem::{MaybeUninit, size_of_val};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use libc::{c_int, c_void};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::net::{RecvFlags, SendFlags, SocketType};

use super::gates::{self, Gate};

/// How many pairs are known at once, if there are descriptors for them; the one that was used last the longest ago goes.
pub(super) const MOST: usize = 1024;
/// How long a pair is known that says nothing.
const IDLE: Duration = Duration::from_secs(60);
/// How often one looks for those.
const SWEEP: Duration = Duration::from_secs(10);
/// How many datagrams are taken from a socket before it is others' turn.
const TURNS: usize = 64;

/// The sockets in the room, and all pairs.
#[derive(Debug)]
pub(super) struct Datagrams {
    ports: Vec<(OwnedFd, Gate)>,
    flows: Vec<Option<Flow>>,
    known: BTreeMap<Pair, usize>,
    most: usize,
    /// When to look for those that are silent.
    pub sweep: Option<Instant>,
}

/// The number of a port, who has sent to it, and to whom.
type Pair = (usize, SocketAddr, IpAddr);

#[derive(Debug)]
struct Flow {
    pair: Pair,
    socket: OwnedFd,
    used: Instant,
}

impl Datagrams {
    pub fn new(ports: Vec<(OwnedFd, Gate)>, most: usize) -> Self {
        Self { ports, flows: Vec::new(), known: BTreeMap::new(), most: most.max(1), sweep: None }
    }

    /// The sockets in the room.
    pub fn ports(&self) -> impl Iterator<Item = (usize, &OwnedFd)> {
        self.ports.iter().enumerate().map(|(number, (socket, _))| (number, socket))
    }

    /// What was sent in the room goes out.
    pub fn go_out(
        &mut self,
        number: usize,
        epoll: &OwnedFd,
        data: impl Fn(usize) -> EventData,
        buffer: &mut [u8],
    ) {
        for _ in 0..TURNS {
            let Some((socket, gate)) = self.ports.get(number) else { return };
            let Ok((length, from, to)) = receive(socket, buffer) else { return };
            let (port, to) = (gate.at.port(), to.filter(|_| gate.is_any()).unwrap_or(gate.at.ip()));
            let now = Instant::now();
            // Without a way out it is lost, as datagrams are.
            if let Ok(flow) = self.flow((number, from, to), port, now, epoll, &data) {
                let _ = rustix::net::send(&flow.socket, &buffer[..length], SendFlags::DONTWAIT);
            }
        }
    }

    /// What was answered goes to who has asked.
    pub fn come_in(&mut self, index: usize, buffer: &mut [u8]) {
        for _ in 0..TURNS {
            let Some(Some(flow)) = self.flows.get_mut(index) else { return };
            let length = match rustix::net::recv(&flow.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((_, length)) => length,
                // That nobody is there, told by another machine: the next may be.
                Err(rustix::io::Errno::CONNREFUSED) => continue,
                Err(_) => return,
            };
            flow.used = Instant::now();
            let (number, who, from) = flow.pair;
            if let Some((socket, gate)) = self.ports.get(number) {
                let _ = answer(socket, &buffer[..length], who, Some(from).filter(|_| gate.is_any()));
            }
        }
    }

    fn flow(
        &mut self,
        pair: Pair,
        port: u16,
        now: Instant,
        epoll: &OwnedFd,
        data: &impl Fn(usize) -> EventData,
    ) -> io::Result<&Flow> {
        let index = match self.known.get(&pair) {
            Some(index) => *index,
            None => {
                let to = SocketAddr::new(pair.2, port);
                let socket = gates::socket(SocketType::DGRAM, to)?;
                rustix::net::connect(&socket, &to)?;
                if self.known.len() >= self.most {
                    let oldest =
                        self.flows.iter().flatten().min_by_key(|flow| flow.used).map(|flow| flow.pair);
                    oldest.iter().for_each(|pair| self.forget(pair));
                }
                let free = self.flows.iter().position(Option::is_none);
                let index = free.unwrap_or_else(|| {
                    self.flows.push(None);
                    self.flows.len() - 1
                });
                epoll::add(epoll, &socket, data(index), EventFlags::IN)?;
                self.flows[index] = Some(Flow { pair, socket, used: now });
                self.known.insert(pair, index);
                self.sweep.get_or_insert(now + SWEEP);
                index
            }
        };
        let flow = self.flows.get_mut(index).and_then(Option::as_mut).ok_or(io::ErrorKind::NotFound)?;
        flow.used = now;
        Ok(flow)
    }

    /// Forgets who is silent.
    pub fn forget_idle(&mut self, now: Instant) {
        if self.sweep.is_none_or(|sweep| now < sweep) {
            return;
        }
        let idle = |flow: &&Flow| now.saturating_duration_since(flow.used) >= IDLE;
        let silent: Vec<Pair> = self.flows.iter().flatten().filter(idle).map(|flow| flow.pair).collect();
        silent.iter().for_each(|pair| self.forget(pair));
        self.sweep = (!self.known.is_empty()).then(|| now + SWEEP);
    }

    fn forget(&mut self, pair: &Pair) {
        if let Some(index) = self.known.remove(pair) {
            self.flows[index] = None;
        }
    }
}

/// Has a socket tell with each datagram to which address it was sent.
pub(super) fn tell_destinations(socket: &OwnedFd, at: SocketAddr) -> io::Result<()> {
    let (level, name) = match at {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    let yes: c_int = 1;
    let size = size_of_val(&yes) as libc::socklen_t;
    // SAFETY: a number of the size that is told.
    let set = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const yes).cast(), size) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Room for what comes beside a datagram, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Beside([u8; 128]);

/// One datagram: its length, who has sent it, and to which address where that is told.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut beside = Beside([0; 128]);
    // SAFETY: all of it are numbers and pointers, for which zero is "none"; those that are set live here.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = name.as_mut_ptr().cast();
        message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut beside).cast();
        message.msg_controllen = size_of::<Beside>() as _;
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
        let from = address(&name.assume_init()).ok_or(io::ErrorKind::InvalidData)?;
        let mut to = None;
        let mut header = libc::CMSG_FIRSTHDR(&raw const message);
        while !header.is_null() {
            match ((*header).cmsg_level, (*header).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = libc::CMSG_DATA(header).cast::<libc::in_pktinfo>().read_unaligned();
                    to = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = libc::CMSG_DATA(header).cast::<libc::in6_pktinfo>().read_unaligned();
                    to = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => {}
            }
            header = libc::CMSG_NXTHDR(&raw const message, header);
        }
        Ok((length, from, to))
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name = std::ptr::from_ref(name);
    // SAFETY: the family says which of them it is, and there is room for each.
    unsafe {
        match c_int::from((*name).ss_family) {
            libc::AF_INET => {
                let name = &*name.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
                Some(SocketAddr::from((ip, u16::from_be(name.sin_port))))
            }
            libc::AF_INET6 => {
                let name = &*name.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
                Some(SocketAddr::from((ip, u16::from_be(name.sin6_port))))
            }
            _ => None,
        }
    }
}

/// Sends an answer, as from an address where one is said.
fn answer(socket: &OwnedFd, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
    let Some(from) = from else {
        return Ok(rustix::net::sendto(socket, bytes, SendFlags::DONTWAIT, &to).map(drop)?);
    };
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut beside = Beside([0; 128]);
    // SAFETY: as in `receive`; the room beside is larger than each of the two structures with its header.
    unsafe {
        let mut name: libc::sockaddr_storage = std::mem::zeroed();
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_name = (&raw mut name).cast();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut beside).cast();
        message.msg_controllen = size_of::<Beside>() as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let size = match (to, from) {
            (SocketAddr::V4(to), IpAddr::V4(from)) => {
                let name = &mut *(&raw mut name).cast::<libc::sockaddr_in>();
                name.sin_family = libc::AF_INET as libc::sa_family_t;
                name.sin_port = to.port().to_be();
                name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
                message.msg_namelen = size_of_val(name) as libc::socklen_t;
                let mut info: libc::in_pktinfo = std::mem::zeroed();
                info.ipi_spec_dst.s_addr = u32::from(from).to_be();
                put(header, libc::IPPROTO_IP, libc::IP_PKTINFO, info)
            }
            (SocketAddr::V6(to), IpAddr::V6(from)) => {
                let name = &mut *(&raw mut name).cast::<libc::sockaddr_in6>();
                name.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.sin6_port = to.port().to_be();
                name.sin6_addr.s6_addr = to.ip().octets();
                message.msg_namelen = size_of_val(name) as libc::socklen_t;
                let mut info: libc::in6_pktinfo = std::mem::zeroed();
                info.ipi6_addr.s6_addr = from.octets();
                put(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info)
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        message.msg_controllen = size as _;
        let sent = libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT);
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// Writes what comes beside a datagram; its whole size.
///
/// # Safety
/// Behind the header there must be room for `value`.
unsafe fn put<T>(header: *mut libc::cmsghdr, level: c_int, kind: c_int, value: T) -> usize {
    let size = size_of::<T>() as libc::c_uint;
    // SAFETY: as promised by the caller.
    unsafe {
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(header).cast::<c_void>().cast::<T>().write_unaligned(value);
        libc::CMSG_SPACE(size) as usize
    }
}
