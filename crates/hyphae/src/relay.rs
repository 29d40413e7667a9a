//! What passes between two runs of one node while the one hands over to the other: whole messages over a pair of Unix
//! sockets that nobody else holds. Pure encodings, and the socket.

use std::future::poll_fn;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use quinn::udp::{EcnCodepoint, RecvMeta};
use socket2::{Domain, Socket, Type};
use tokio::io::unix::AsyncFd;

use crate::tag::Tag;

/// The run before tells the tags of its connections, and those of the runs before it.
pub const TAGS: u8 = 0;
/// The successor asks it to leave the socket alone.
pub const BEGIN: u8 = 1;
/// It does from now on.
pub const BEGUN: u8 = 2;
/// Its peers know that new streams are not for it.
pub const TOLD: u8 = 3;
/// The successor passes on packets: a [`header`], then their bytes.
pub const PACKETS: u8 = 4;

/// The largest message: what a socket gives at once, with its header.
pub const LARGEST: usize = (64 << 10) + HEADER;
/// The size of what stands before packets.
const HEADER: usize = 1 + ADDRESS + 1 + ADDRESS + 4;
/// An address: its family, its 16 bytes, its scope, its port.
const ADDRESS: usize = 1 + 16 + 4 + 2;

/// One end.
#[derive(Debug)]
pub struct Relay {
    socket: AsyncFd<Socket>,
}

impl Relay {
    /// This run's end, and the one that the successor [adopts](Self::adopt).
    pub fn pair() -> io::Result<(Self, OwnedFd)> {
        let (mine, other) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        Ok((Self::adopt(mine.into())?, other.into()))
    }

    /// The end that was handed over.
    #[expect(
        deprecated,
        reason = "its replacement is unsafe for file descriptors that lie; a socket that is owned doesn't"
    )]
    pub fn adopt(end: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(end);
        socket.set_nonblocking(true)?;
        Ok(Self { socket: AsyncFd::new(socket)? })
    }

    /// Sends one message, or says at once that it can't be.
    pub fn say(&self, message: &[u8]) -> io::Result<()> {
        self.socket.get_ref().write(message).map(drop)
    }

    /// The next message, of so many bytes; an error when there will be none.
    pub fn poll_hear(&self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut is_ready = ready!(self.socket.poll_read_ready(cx))?;
            match is_ready.try_io(|socket| socket.get_ref().read(into)) {
                Ok(Ok(0)) => return Poll::Ready(Err(ErrorKind::UnexpectedEof.into())),
                Ok(read) => return Poll::Ready(read),
                Err(_would_block) => {}
            }
        }
    }

    /// Waits for a message of this kind, and gives what follows the kind.
    pub async fn hear(&self, kind: u8) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; LARGEST];
        loop {
            let read = poll_fn(|cx| self.poll_hear(cx, &mut buffer)).await?;
            if buffer[0] == kind {
                return Ok(buffer[1..read].to_vec());
            }
        }
    }
}

/// The message that tells tags.
pub fn tags(tags: impl Iterator<Item = Tag>) -> Vec<u8> {
    [TAGS].into_iter().chain(tags.flatten()).collect()
}

/// The tags that a message tells.
pub fn read_tags(body: &[u8]) -> Vec<Tag> {
    body.chunks_exact(2).map(|tag| [tag[0], tag[1]]).collect()
}

/// What stands before packets that came together.
pub fn header(meta: &RecvMeta) -> Vec<u8> {
    let mut bytes = vec![PACKETS];
    bytes.extend(address(meta.addr));
    bytes.push(meta.ecn.map_or(0, |ecn| ecn as u8));
    let to = meta.dst_ip.map_or([0; ADDRESS], |ip| address(SocketAddr::new(ip, 0)));
    bytes.extend(to);
    bytes.extend(u32::try_from(meta.stride).unwrap_or(u32::MAX).to_be_bytes());
    bytes
}

/// Reads a message of [`PACKETS`]: the packets, and how they came. `None` if it is none.
pub fn read_packets(message: &[u8]) -> Option<(RecvMeta, &[u8])> {
    let (head, packets) = message.split_at_checked(HEADER)?;
    let (from, rest) = head.strip_prefix(&[PACKETS])?.split_at_checked(ADDRESS)?;
    let (ecn, rest) = rest.split_first()?;
    let (to, stride) = rest.split_at_checked(ADDRESS)?;
    let meta = RecvMeta {
        addr: read_address(from)?,
        ecn: EcnCodepoint::from_bits(*ecn),
        dst_ip: read_address(to).map(|to| to.ip()),
        stride: u32::from_be_bytes(stride.try_into().ok()?) as usize,
        len: packets.len(),
    };
    Some((meta, packets)).filter(|(meta, _)| meta.stride > 0)
}

/// Family 0 stands for none.
fn address(address: SocketAddr) -> [u8; ADDRESS] {
    let (family, ip, scope) = match address {
        SocketAddr::V4(v4) => (4, v4.ip().to_ipv6_mapped(), 0),
        SocketAddr::V6(v6) => (6, *v6.ip(), v6.scope_id()),
    };
    let mut bytes = [0; ADDRESS];
    bytes[0] = family;
    bytes[1..17].copy_from_slice(&ip.octets());
    bytes[17..21].copy_from_slice(&scope.to_be_bytes());
    bytes[21..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let ip = Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(1..17)?).ok()?);
    let scope = u32::from_be_bytes(bytes.get(17..21)?.try_into().ok()?);
    let port = u16::from_be_bytes(bytes.get(21..23)?.try_into().ok()?);
    match bytes.first()? {
        4 => Some(SocketAddr::new(IpAddr::V4(ip.to_ipv4_mapped()?), port)),
        6 => Some(SocketAddrV6::new(ip, port, 0, scope).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
