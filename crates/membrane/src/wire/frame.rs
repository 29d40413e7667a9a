//! Frames: a header of 8 bytes (version, number of descriptors, two zeros, length as big-endian
//! `u32`) and that many bytes. The descriptors travel with the frame's first byte.
//!
//! The decoder holds at most one unfinished frame and what came behind it in the same read; every
//! length is checked before a byte is stored for it.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// The version in each header; a frame of another one ends the connection.
pub(crate) const VERSION: u8 = 1;
/// The longest payload: room for the largest environment one would hand to a program.
pub(crate) const MAX_PAYLOAD: usize = 1 << 20;
/// The most descriptors in a frame; the kernel's own limit is 253 a message.
pub(crate) const MAX_FDS: usize = 128;
/// The size of a header.
pub(crate) const HEADER: usize = 8;
/// Buffers larger than this are given back when they are empty.
const KEEP_CAPACITY: usize = 4096;

/// One message.
#[derive(Debug)]
pub(crate) struct Frame {
    pub payload: Vec<u8>,
    pub fds: Vec<OwnedFd>,
}

/// Why a stream of bytes is not one of frames. The connection is of no use after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("the frame is of version {0}, not {VERSION}")]
    Version(u8),
    #[error("the frame's reserved bytes are not zero")]
    Reserved,
    #[error("a payload of {0} bytes is over the limit of {MAX_PAYLOAD}")]
    TooLong(u32),
    #[error("{0} descriptors are over the limit of {MAX_FDS}")]
    TooManyFds(usize),
    #[error("the frame announced {announced} descriptors and came with {came}")]
    MissingFds { announced: usize, came: usize },
}

/// Appends one frame's bytes to `out`. `None` when a limit would be broken.
pub(crate) fn encode(payload: &[u8], fds: usize, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    if payload.len() > MAX_PAYLOAD {
        return Err(FrameError::TooLong(length));
    }
    let count = u8::try_from(fds).ok().filter(|_| fds <= MAX_FDS).ok_or(FrameError::TooManyFds(fds))?;
    out.reserve(HEADER + payload.len());
    out.extend([VERSION, count, 0, 0]);
    out.extend(length.to_be_bytes());
    out.extend(payload);
    Ok(())
}

/// Turns bytes and descriptors, however they were cut, into frames.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    start: usize,
    fds: VecDeque<OwnedFd>,
}

impl Decoder {
    /// Takes in what one read brought; [`Decoder::next`] until `None` before the next one.
    pub fn feed(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) -> Result<(), FrameError> {
        self.fds.extend(fds);
        // One frame's worth may wait, and those of the frame that came behind it in the same read.
        if self.fds.len() > 2 * MAX_FDS {
            return Err(FrameError::TooManyFds(self.fds.len()));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole frame.
    pub fn next(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((header, rest)) = self.bytes[self.start..].split_first_chunk::<HEADER>() else {
            self.give_back();
            return Ok(None);
        };
        let [version, count, zero, zero2, length @ ..] = *header;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        if (zero, zero2) != (0, 0) {
            return Err(FrameError::Reserved);
        }
        let (count, length) = (usize::from(count), u32::from_be_bytes(length));
        if count > MAX_FDS {
            return Err(FrameError::TooManyFds(count));
        }
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if size > MAX_PAYLOAD {
            return Err(FrameError::TooLong(length));
        }
        let Some(payload) = rest.get(..size) else {
            self.give_back();
            return Ok(None);
        };
        if self.fds.len() < count {
            return Err(FrameError::MissingFds { announced: count, came: self.fds.len() });
        }
        let frame = Frame { payload: payload.to_vec(), fds: self.fds.drain(..count).collect() };
        self.start += HEADER + size;
        Ok(Some(frame))
    }

    /// The bytes of the unfinished frame.
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether descriptors wait for the rest of their frame.
    pub fn holds_fds(&self) -> bool {
        !self.fds.is_empty()
    }

    fn give_back(&mut self) {
        self.bytes.drain(..self.start);
        self.start = 0;
        if self.bytes.is_empty() && self.bytes.capacity() > KEEP_CAPACITY {
            self.bytes = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests;
