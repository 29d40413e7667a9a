//! After `101 Switching Protocols`: bytes both ways, until both sides are done.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use super::conn::{After, Conn};
use super::exchange::Up;
use crate::io::{Buffer, Buffers};
use crate::worker::watch::{Phase, Watch, millis};

/// One direction of a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Open,
    /// The source is at its end and everything is written.
    Ending,
    Ended,
}

impl Conn {
    /// Writes the 101, then carries bytes both ways.
    pub(super) async fn tunnel(&mut self, up: Up) -> After {
        let Up { mut io, .. } = up;
        let silence = millis(self.worker.config.limits.silence);
        self.watch.patience(silence);
        self.watch.until(Phase::Tunnel, self.worker.now(Instant::now()) + silence);
        let mut to_client = Direction::Open;
        let mut to_workload = Direction::Open;
        let carried = poll_fn(|cx| {
            if self.watch.expired(cx) {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
            }
            while !self.answer.is_empty() {
                match Pin::new(&mut self.stream).poll_write(cx, &self.answer)? {
                    Poll::Ready(n) => drop(self.answer.drain(..n)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let (watch, buffers) = (&*self.watch, &self.worker.buffers);
            let down =
                poll_copy(cx, &mut io, &mut self.stream, &mut self.reply, buffers, watch, &mut to_client)?;
            let upward =
                poll_copy(cx, &mut self.stream, &mut io, &mut self.input, buffers, watch, &mut to_workload)?;
            if down.is_ready() && upward.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        match carried.await {
            Ok(()) => After::Close,
            Err(_) => After::Cut,
        }
    }
}

/// Carries one direction as far as it goes; ready when it has ended.
fn poll_copy<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    from: &mut R,
    to: &mut W,
    buffer: &mut Buffer,
    buffers: &Buffers,
    watch: &Watch,
    direction: &mut Direction,
) -> io::Result<Poll<()>> {
    loop {
        if *direction == Direction::Ended {
            return Ok(Poll::Ready(()));
        }
        if !buffer.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, buffer.data())? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(n) => buffer.consume(n),
                Poll::Pending => return Ok(Poll::Pending),
            }
            watch.heard();
            continue;
        }
        if *direction == Direction::Ending {
            match Pin::new(&mut *to).poll_shutdown(cx)? {
                Poll::Ready(()) => *direction = Direction::Ended,
                Poll::Pending => return Ok(Poll::Pending),
            }
            continue;
        }
        match buffer.poll_fill(from, cx, buffers)? {
            Poll::Ready(0) => *direction = Direction::Ending,
            Poll::Ready(_) => {}
            Poll::Pending => {
                // What was encrypted and not yet sent must not wait for the next piece.
                let _ = Pin::new(&mut *to).poll_flush(cx)?;
                return Ok(Poll::Pending);
            }
        }
    }
}
