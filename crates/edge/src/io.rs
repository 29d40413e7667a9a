//! Bytes in motion: buffers that are lent, and client connections plain or over TLS.

mod buffer;
mod far;
mod prefixed;
mod stream;

pub(crate) use buffer::{BUFFER, Buffer, Buffers};
pub(crate) use far::Far;
pub(crate) use prefixed::Prefixed;
pub(crate) use stream::Stream;
