//! The chunked coding (RFC 9112 §7.1), byte by byte and strict; content is skipped, not walked.

use super::field::Known;
use super::head::{Head, Malformed, parse_trailers};

/// Digits of a chunk's size: 15 keep it below 2^60.
const SIZE_DIGITS: u8 = 15;
/// Bytes of extensions a chunk may carry. Nobody uses them, but some attacks do.
const EXTENSION_BYTES: u16 = 256;
/// Bytes of all trailers.
const TRAILER_BYTES: usize = 8 * 1024;
/// Lines of trailers.
const TRAILER_LINES: usize = 64;

/// Where in a chunked body the reader is.
#[derive(Debug, Default)]
pub(crate) struct Chunked {
    state: State,
    trailers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size {
        size: u64,
        digits: u8,
    },
    Extension {
        size: u64,
        bytes: u16,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// After the last chunk: the first byte of a line.
    Last,
    LastLf,
    Trailers,
    Done,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

impl Chunked {
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailer section as it came (empty without one), once the body is done.
    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Reads on: how many bytes of `input` belong to the body. Each run of content goes to `sink`.
    pub(crate) fn decode(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if let State::Data { left } = self.state {
                let rest = &input[at..];
                let n = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                sink(&rest[..n]);
                at += n;
                let left = left - n as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
            } else {
                self.state = self.step(input[at])?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, b: u8) -> Result<State, Malformed> {
        match (self.state, b) {
            (State::Size { size, digits }, _) => Self::size(size, digits, b),
            (State::Extension { size, .. }, b'\r') => Ok(State::SizeLf { size }),
            (State::Extension { size, bytes }, b'\t' | 0x20..=0x7e) if bytes < EXTENSION_BYTES => {
                Ok(State::Extension { size, bytes: bytes + 1 })
            }
            (State::Extension { .. }, _) => Err(Malformed::ChunkExtension),
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Last),
            (State::SizeLf { size }, b'\n') => Ok(State::Data { left: size }),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::default()),
            (State::Last, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::Last | State::Trailers, _) => self.trailer(b),
            _ => Err(Malformed::ChunkEnd),
        }
    }

    fn size(size: u64, digits: u8, b: u8) -> Result<State, Malformed> {
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            b'A'..=b'F' => b - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::SizeLf { size }),
            b';' if digits > 0 => return Ok(State::Extension { size, bytes: 0 }),
            _ => return Err(Malformed::ChunkSize),
        };
        if digits == SIZE_DIGITS {
            return Err(Malformed::ChunkSize);
        }
        Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 })
    }

    fn trailer(&mut self, b: u8) -> Result<State, Malformed> {
        if self.trailers.len() >= TRAILER_BYTES {
            return Err(Malformed::Trailer);
        }
        self.trailers.push(b);
        if b != b'\n' {
            return Ok(State::Trailers);
        }
        if !self.trailers.ends_with(b"\r\n") {
            return Err(Malformed::BareLf);
        }
        if !self.trailers.ends_with(b"\r\n\r\n") {
            return Ok(State::Trailers);
        }
        let mut head = Head::default();
        let whole = parse_trailers(&self.trailers, TRAILER_LINES, &mut head)?;
        // Fields that frame, route or steer a message may not come after it (RFC 9110 §6.5.1).
        if !whole
            || head
                .fields
                .iter()
                .any(|f| !matches!(f.known, Known::Other | Known::TraceParent | Known::TraceState))
        {
            return Err(Malformed::Trailer);
        }
        Ok(State::Done)
    }
}

#[cfg(test)]
mod tests;
