//! Buffers that a worker lends to its connections, so that idle ones hold none and busy ones allocate none.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of a buffer. A head has to fit into one.
pub(crate) const BUFFER: usize = 32 * 1024;
/// Buffers of each kind a worker keeps.
const KEPT: usize = 64;

/// Bytes that were read and not yet used.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn data(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.end - self.start == self.memory.len()
    }

    pub(crate) const fn consume(&mut self, n: usize) {
        self.start += n;
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Reads once; `Ok(0)` is the end. There has to be room.
    pub(crate) fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        cx: &mut Context<'_>,
        buffers: &Buffers,
    ) -> Poll<io::Result<usize>> {
        if self.memory.is_empty() {
            self.memory = buffers.take();
        } else if self.end == self.memory.len() {
            self.memory.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let mut room = ReadBuf::new(&mut self.memory[self.end..]);
        let read = Pin::new(from).poll_read(cx, &mut room);
        let n = room.filled().len();
        if read.is_pending() {
            // Who waits holds no memory: the next connection works in the same, which is still in the cache.
            self.rest(buffers);
        }
        ready!(read)?;
        self.end += n;
        Poll::Ready(Ok(n))
    }

    /// Gives the memory back while nothing is in it.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        if self.start == self.end && !self.memory.is_empty() {
            self.start = 0;
            self.end = 0;
            buffers.give(std::mem::take(&mut self.memory));
        }
    }

    /// Forgets what is in it.
    pub(crate) const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// A worker's stock of memory.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    stock: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    fn take(&self) -> Vec<u8> {
        self.stock.borrow_mut().pop().unwrap_or_else(|| vec![0; BUFFER])
    }

    fn give(&self, memory: Vec<u8>) {
        let mut stock = self.stock.borrow_mut();
        if stock.len() < KEPT {
            stock.push(memory);
        }
    }
}
