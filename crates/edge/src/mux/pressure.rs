//! Who keeps an HTTP/2 connection waiting: the workloads, or a client that takes nothing of what it asked for.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::worker::watch::{Phase, Watch};

/// Smaller writes are pings and window updates: they say nothing about what the client takes.
const SMALL: usize = 64;

/// The requests of one connection, and for how many of them it is the client's turn.
#[derive(Debug)]
pub(super) struct Pressure {
    pub watch: Rc<Watch>,
    open: Cell<usize>,
    stalled: Cell<usize>,
}

impl Pressure {
    pub(super) const fn new(watch: Rc<Watch>) -> Self {
        Self { watch, open: Cell::new(0), stalled: Cell::new(0) }
    }

    pub(super) fn open(&self) -> usize {
        self.open.get()
    }

    pub(super) fn begin(&self) {
        self.open.set(self.open.get() + 1);
        self.turn();
    }

    /// A request is over; says whether it was the last one that was open.
    pub(super) fn end(&self) -> bool {
        self.open.set(self.open.get() - 1);
        self.turn();
        self.open.get() == 0
    }

    fn stall(&self) {
        self.stalled.set(self.stalled.get() + 1);
        self.turn();
    }

    fn resume(&self) {
        self.stalled.set(self.stalled.get() - 1);
        self.turn();
    }

    fn turn(&self) {
        let client = self.stalled.get() == self.open.get();
        self.watch.turn(if client { Phase::Client } else { Phase::Tunnel });
    }
}

/// One response: stalled from when a piece was handed over until the next one is asked for.
#[derive(Debug)]
pub(super) struct Share {
    pressure: Rc<Pressure>,
    stalled: bool,
}

impl Share {
    pub(super) const fn new(pressure: Rc<Pressure>) -> Self {
        Self { pressure, stalled: false }
    }

    /// The client has room for more.
    pub(super) fn asked(&mut self) {
        if std::mem::take(&mut self.stalled) {
            self.pressure.resume();
        }
    }

    /// It got some.
    pub(super) fn gave(&mut self) {
        self.pressure.watch.heard();
        if !std::mem::replace(&mut self.stalled, true) {
            self.pressure.stall();
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.asked();
    }
}

/// A connection whose writes are noted as what the client takes.
#[derive(Debug)]
pub(super) struct Noted<S> {
    stream: S,
    watch: Rc<Watch>,
}

impl<S> Noted<S> {
    pub(super) const fn new(stream: S, watch: Rc<Watch>) -> Self {
        Self { stream, watch }
    }

    fn note(&self, written: usize) {
        if written > SMALL {
            self.watch.moved(written);
            self.watch.heard();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut this.stream).poll_write(cx, buf))?;
        this.note(n);
        Poll::Ready(Ok(n))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let n = ready!(Pin::new(&mut this.stream).poll_write_vectored(cx, bufs))?;
        this.note(n);
        Poll::Ready(Ok(n))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
