//! Bytes both ways between a stream of the overlay and a socket, each direction to its own end.
//!
//! A direction holds a buffer only while there is something in it: a tunnel that idles in a pool costs none.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyphae::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that are moved at once.
const BUFFER: usize = 64 << 10;
/// How long the peer has to read what a workload said just before its connection broke: an abandoned stream takes with
/// it what was not read of it (RFC 9000 §3.2).
const HEARD: Duration = Duration::from_millis(200);
/// Buffers that a thread keeps for whoever needs one next.
const KEPT: usize = 32;

thread_local! {
    static STOCK: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Copies until both directions have ended, or nobody wants the rest.
///
/// - A peer that abandons the stream, or is gone, ends everything: `Err`.
/// - A workload that takes no more may still have something to say: it is heard to its end.
/// - A workload whose connection breaks: `Err`, and the caller drops the stream, which tells the peer.
pub(super) async fn copy(peer: &mut Stream, workload: &mut TcpStream) -> io::Result<()> {
    let mut unread = pin!(peer.unread());
    let (mut there, mut back) = (Direction::default(), Direction::default());
    let mut answered = false;
    let copied = poll_fn(|cx| {
        let asked = there.moved;
        let there_ends = there.poll(cx, peer, workload).map_err(Broken::Peer)?;
        answered &= there.moved == asked;
        if unread.as_mut().poll(cx).is_ready() {
            back.end();
        }
        let said = back.moved;
        let back_ends = back.poll(cx, workload, peer).map_err(Broken::Workload);
        answered |= back.moved != said;
        if back_ends?.is_ready() && there_ends.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await;
    match copied {
        Ok(()) => Ok(()),
        Err(Broken::Peer(error)) => Err(error),
        Err(Broken::Workload(error)) => {
            if answered {
                tokio::time::sleep(HEARD).await;
            }
            Err(error)
        }
    }
}

/// Whose connection broke.
enum Broken {
    Peer(io::Error),
    Workload(io::Error),
}

/// One of the two.
#[derive(Default)]
struct Direction {
    buffer: Option<Box<[u8]>>,
    start: usize,
    end: usize,
    /// Bytes that were read in all.
    moved: u64,
    state: State,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Open,
    /// The source has ended, which the sink is not told yet.
    Ending,
    Ended,
}

impl Direction {
    /// Nobody wants the rest.
    fn end(&mut self) {
        self.state = State::Ended;
        self.rest();
    }

    /// Moves what can be moved; an error is the source's.
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            match self.state {
                State::Ended => return Poll::Ready(Ok(())),
                State::Ending => {
                    // A sink that is gone needs no end.
                    let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                    self.end();
                }
                State::Open if self.start < self.end => {
                    if ready!(self.poll_write(cx, to)).is_err() {
                        self.end();
                    }
                }
                State::Open => {
                    if ready!(self.poll_read(cx, from))? == 0 {
                        self.state = State::Ending;
                    }
                }
            }
        }
    }

    fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
    ) -> Poll<io::Result<usize>> {
        let buffer = self.buffer.get_or_insert_with(take);
        let mut room = ReadBuf::new(buffer);
        let read = Pin::new(from).poll_read(cx, &mut room);
        let filled = room.filled().len();
        if filled == 0 {
            self.rest();
        }
        ready!(read)?;
        (self.start, self.end) = (0, filled);
        self.moved += filled as u64;
        Poll::Ready(Ok(filled))
    }

    fn poll_write<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Poll<io::Result<()>> {
        let Some(buffer) = &self.buffer else { return Poll::Ready(Ok(())) };
        let written = ready!(Pin::new(to).poll_write(cx, &buffer[self.start..self.end]))?;
        self.start += written;
        Poll::Ready(if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(()) })
    }

    /// Gives the buffer back.
    fn rest(&mut self) {
        if let Some(buffer) = self.buffer.take() {
            give(buffer);
        }
        (self.start, self.end) = (0, 0);
    }
}

impl Drop for Direction {
    fn drop(&mut self) {
        self.rest();
    }
}

fn take() -> Box<[u8]> {
    STOCK.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; BUFFER].into())
}

fn give(buffer: Box<[u8]>) {
    // A thread that ends has no stock any more, and needs none.
    let _ = STOCK.try_with(|stock| {
        let mut stock = stock.borrow_mut();
        if stock.len() < KEPT {
            stock.push(buffer);
        }
    });
}
