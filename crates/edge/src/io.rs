//! Bytes in motion: buffers that are lent, and client connections plain or over TLS.

mod buffer;
#[expect(dead_code, reason = "for HTTP/2")]
mod prefixed;
mod stream;

pub(crate) use buffer::{BUFFER, Buffer, Buffers};
#[expect(unused_imports, reason = "for HTTP/2")]
pub(crate) use prefixed::Prefixed;
pub(crate) use stream::Stream;
