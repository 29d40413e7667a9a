//! A stream both ways between two nodes.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::{ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use types::PublicKey;

use crate::link::{Link, describe};
use crate::wire;

/// A stream both ways: ordered, reliable, encrypted. It may be used from any thread and any tokio runtime.
///
/// What is written ends with `shutdown` (of `tokio::io::AsyncWriteExt`), which the other side reads as the end. A stream
/// that is dropped without it was abandoned, and the other side gets an error instead: half an answer never passes
/// for a whole one.
pub struct Stream {
    send: SendStream,
    recv: RecvStream,
    link: Arc<Link>,
    ended: bool,
}

impl Stream {
    pub(crate) fn new(send: SendStream, recv: RecvStream, link: Arc<Link>) -> Self {
        link.begin();
        Self { send, recv, link, ended: false }
    }

    /// Whom it goes to: the key that was proven in the handshake.
    #[must_use]
    pub fn peer(&self) -> PublicKey {
        self.link.peer
    }

    /// Resolves when the peer reads no more of what is written here: it has let go of the stream, has all of it, or is
    /// gone. A writer that waits for something else learns it from this alone.
    pub fn unread(&self) -> impl Future<Output = ()> + Send + 'static {
        let stopped = self.send.stopped();
        async move { drop(stopped.await) }
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// Ends both directions with a code.
    pub(crate) fn reject(&mut self, code: u32) {
        self.ended = true;
        // an error says that the stream has ended already
        let _ = self.send.reset(VarInt::from_u32(code));
        let _ = self.recv.stop(VarInt::from_u32(code));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = ready!(self.recv.poll_read(cx, buf.initialize_unfilled()));
        match filled {
            Ok(read) => {
                buf.advance(read);
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(read_error(error))),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.send).poll_write(cx, data).map_err(write_error)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            self.ended = true;
            // fails only when the peer has stopped reading, or the connection is gone: then nobody waits for the end
            let _ = self.send.finish();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.send.reset(VarInt::from_u32(wire::CODE_ABANDONED));
        }
        self.link.end();
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({})", self.link.peer)
    }
}

fn read_error(error: ReadError) -> io::Error {
    match error {
        ReadError::Reset(code) => io::Error::new(io::ErrorKind::ConnectionReset, ended(code)),
        ReadError::ConnectionLost(error) => {
            io::Error::new(io::ErrorKind::ConnectionAborted, describe(&error))
        }
        other => other.into(),
    }
}

fn write_error(error: WriteError) -> io::Error {
    match error {
        WriteError::Stopped(code) => io::Error::new(io::ErrorKind::BrokenPipe, ended(code)),
        WriteError::ConnectionLost(error) => {
            io::Error::new(io::ErrorKind::ConnectionAborted, describe(&error))
        }
        other => other.into(),
    }
}

/// Why the peer ended a stream, for people.
fn ended(code: VarInt) -> &'static str {
    match u32::try_from(u64::from(code)) {
        Ok(wire::CODE_DONE) => "the peer reads no more",
        Ok(wire::CODE_NO_PROTOCOL) => "the peer does not serve this protocol",
        Ok(wire::CODE_GARBAGE) => "the peer did not understand the stream",
        _ => "the peer abandoned the stream",
    }
}
