//! Listening sockets: bound or adopted, one for each worker where the system can share a port.
//!
//! The port is shared (`SO_REUSEPORT`) among the workers of one edge only: a port that somebody else holds is an error
//! that names the holder, even if that holder would share.

mod holder;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::error::EdgeError;

/// Connections the system keeps until they are accepted.
const BACKLOG: i32 = 4096;

/// Where an edge takes its connections from.
#[derive(Debug)]
pub enum Listen {
    /// A new address; port 0 lets the system choose one.
    Bind(SocketAddr),
    /// Sockets that listen already: those of an edge before this one, see [`crate::Edge::listeners`].
    Adopt(Vec<TcpListener>),
}

impl Listen {
    /// Opens the sockets for so many workers, for [`Listen::Adopt`] later: connections wait in them meanwhile.
    pub fn open(self, workers: usize) -> Result<Vec<TcpListener>, EdgeError> {
        open(self, workers).map(|(sockets, _)| sockets)
    }
}

impl From<SocketAddr> for Listen {
    fn from(addr: SocketAddr) -> Self {
        Self::Bind(addr)
    }
}

impl std::str::FromStr for Listen {
    type Err = EdgeError;

    /// `ADDRESS:PORT`, or `:PORT` for every address of the machine (IPv6 and IPv4 where there is IPv6).
    fn from_str(text: &str) -> Result<Self, EdgeError> {
        let wrong = || EdgeError::Address { text: text.chars().take(80).collect() };
        let Some(port) = text.strip_prefix(':') else {
            return text.replace("localhost:", "127.0.0.1:").parse().map(Self::Bind).map_err(|_| wrong());
        };
        let port = port.parse().map_err(|_| wrong())?;
        let any =
            if has_ipv6() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        Ok(Self::Bind(SocketAddr::new(any, port)))
    }
}

/// Opens the sockets for so many workers; all have the address that is returned.
pub(crate) fn open(listen: Listen, workers: usize) -> Result<(Vec<TcpListener>, SocketAddr), EdgeError> {
    match listen {
        Listen::Bind(addr) => bind_all(addr, workers),
        Listen::Adopt(sockets) => {
            let first = sockets.first().ok_or_else(|| EdgeError::Adopt(io::ErrorKind::NotFound.into()))?;
            let addr = first.local_addr().map_err(EdgeError::Adopt)?;
            for socket in &sockets {
                socket.set_nonblocking(true).map_err(EdgeError::Adopt)?;
            }
            Ok((sockets, addr))
        }
    }
}

fn bind_all(addr: SocketAddr, workers: usize) -> Result<(Vec<TcpListener>, SocketAddr), EdgeError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => EdgeError::Taken { addr, holder: holder::of(addr) },
        _ => EdgeError::Listen { addr, source },
    };
    if addr.port() != 0 {
        // Without sharing: fails when anybody has it, whether they would share or not.
        drop(bind(addr, false).map_err(failed)?);
    }
    let first = bind(addr, workers > 1).map_err(failed)?;
    let unnamed = || failed(io::ErrorKind::AddrNotAvailable.into());
    let local = first.local_addr().map_err(failed)?.as_socket().ok_or_else(unnamed)?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bind(local, true).map_err(failed)?);
    }
    for socket in &sockets {
        socket.listen(BACKLOG).map_err(failed)?;
    }
    Ok((sockets.into_iter().map(TcpListener::from).collect(), local))
}

fn bind(addr: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    if share {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    Ok(socket)
}

fn has_ipv6() -> bool {
    bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0), false).is_ok()
}
