//! A connection to a workload, direct or through a tunnel.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::reach::{Duplex, Reach};

/// Looks without taking and without waiting.
const PEEK: RecvFlags = RecvFlags::PEEK.union(RecvFlags::DONTWAIT);

/// A connection to a workload.
#[derive(Debug)]
pub(crate) enum Far {
    Socket(TcpStream),
    Tunnel(Box<dyn Duplex>),
}

impl Far {
    /// Connects, to a socket within `limit`; an error means that the workload got nothing.
    pub(crate) async fn connect(reach: &Reach, limit: Duration) -> io::Result<Self> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        match reach {
            Reach::Socket(address) => {
                let tcp = timeout(limit, TcpStream::connect(address)).await.map_err(late)??;
                // It works without, only slower.
                let _ = tcp.set_nodelay(true);
                Ok(Self::Socket(tcp))
            }
            Reach::Tunnel(tunnel) => tunnel.open().await.map(Self::Tunnel),
        }
    }

    /// Whether an idle connection is open, as the system has it now.
    pub(crate) fn is_open(&mut self) -> bool {
        match self {
            Self::Socket(tcp) => rustix::net::recv(&*tcp, &mut [0; 1], PEEK) == Err(rustix::io::Errno::AGAIN),
            Self::Tunnel(duplex) => says_nothing(duplex, &mut Context::from_waker(Waker::noop())),
        }
    }

    /// Whether an idle connection is over, as far as is known without a system call where nothing happened.
    pub(crate) fn is_known_over(&mut self, cx: &mut Context<'_>) -> bool {
        match self {
            Self::Socket(tcp) => {
                let pending =
                    |read| matches!(read, Err(e) if io::Error::kind(&e) == io::ErrorKind::WouldBlock);
                tcp.poll_read_ready(cx).is_ready() && !pending(tcp.try_read(&mut [0; 1]))
            }
            Self::Tunnel(duplex) => !says_nothing(duplex, cx),
        }
    }
}

/// An idle connection has nothing to say until it ends.
fn says_nothing(duplex: &mut Box<dyn Duplex>, cx: &mut Context<'_>) -> bool {
    Pin::new(duplex).poll_read(cx, &mut ReadBuf::new(&mut [0; 1])).is_pending()
}

impl AsyncRead for Far {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tunnel(duplex) => Pin::new(duplex).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Far {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tunnel(duplex) => Pin::new(duplex).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Socket(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tunnel(duplex) => Pin::new(duplex).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Socket(tcp) => tcp.is_write_vectored(),
            Self::Tunnel(duplex) => duplex.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tunnel(duplex) => Pin::new(duplex).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Socket(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tunnel(duplex) => Pin::new(duplex).poll_shutdown(cx),
        }
    }
}
