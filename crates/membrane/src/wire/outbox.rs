//! What waits to be sent on one connection, in order, each frame with its descriptors.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use serde::Serialize;

use super::frame::{self, FrameError};
use super::transport;

/// Frames that wait to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<(Vec<u8>, Vec<OwnedFd>)>,
    /// How much of the first one is sent; its descriptors went with its first byte.
    sent: usize,
    bytes: usize,
}

impl Outbox {
    /// Queues `message`, with `fds` beside it.
    pub fn push(&mut self, message: &impl Serialize, fds: Vec<OwnedFd>) -> Result<(), FrameError> {
        let payload = serde_json::to_vec(message).unwrap_or_default();
        let mut bytes = Vec::new();
        frame::encode(&payload, fds.len(), &mut bytes)?;
        self.bytes += bytes.len();
        self.queue.push_back((bytes, fds));
        Ok(())
    }

    /// Queues bytes that are frames already.
    pub fn push_raw(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.queue.push_back((bytes, Vec::new()));
        }
    }

    /// Sends what the socket takes; true when nothing is left.
    pub fn flush(&mut self, socket: BorrowedFd<'_>) -> io::Result<bool> {
        while let Some((bytes, fds)) = self.queue.front_mut() {
            let carried: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
            let count = match transport::send(socket, &bytes[self.sent..], &carried) {
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            };
            fds.clear();
            self.sent += count;
            self.bytes -= count;
            if self.sent == bytes.len() {
                self.sent = 0;
                self.queue.pop_front();
            }
        }
        Ok(true)
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// How many bytes wait.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Everything that waits as bytes; `None` when descriptors wait with them.
    pub fn rest(&self) -> Option<Vec<u8>> {
        let mut rest = Vec::with_capacity(self.bytes);
        for (bytes, fds) in &self.queue {
            if !fds.is_empty() {
                return None;
            }
            rest.extend_from_slice(bytes);
        }
        rest.drain(..self.sent);
        Some(rest)
    }
}
