//! How a message's body is delimited, and how much of it is still to come.

use super::chunked::Chunked;
use super::head::Malformed;

/// How a body ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    None,
    /// After this many bytes, at least one.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection (responses only).
    Close,
}

/// A body on its way.
#[derive(Debug)]
pub(crate) enum Body {
    Done,
    Length(u64),
    Chunked(Chunked),
    Close,
}

impl Body {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(n) => Self::Length(n),
            Framing::Chunked => Self::Chunked(Chunked::default()),
            Framing::Close => Self::Close,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::Length(_) | Self::Close => false,
        }
    }

    /// The trailer section of a body that is done, as it came; once.
    pub(crate) fn take_trailers(&mut self) -> Option<Vec<u8>> {
        let Self::Chunked(chunked) = self else { return None };
        Some(chunked.take_trailers()).filter(|trailers| !trailers.is_empty())
    }

    /// How many bytes at the start of `input` belong to the body, framing included.
    pub(crate) fn take(&mut self, input: &[u8]) -> Result<usize, Malformed> {
        self.decode(input, |_| ())
    }

    /// As [`Body::take`], handing each run of content to `sink`.
    pub(crate) fn decode(&mut self, input: &[u8], mut sink: impl FnMut(&[u8])) -> Result<usize, Malformed> {
        match self {
            Self::Done => Ok(0),
            Self::Close => {
                sink(input);
                Ok(input.len())
            }
            Self::Length(left) => {
                let n = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
                sink(&input[..n]);
                *left -= n as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(n)
            }
            Self::Chunked(chunked) => chunked.decode(input, sink),
        }
    }
}
