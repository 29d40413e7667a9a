//! Waiting for any descriptor within tokio.

#![expect(unsafe_code, reason = "tokio asks for a promise about the descriptor that OwnedFd keeps by itself")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers a descriptor, which must not block. To be called within a tokio runtime.
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is open and stays the same one as long as it lives, and nobody in this crate
    // takes it out of the AsyncFd by `get_mut`.
    Ok(unsafe { AsyncFd::register_with_interest(fd, interest) }?)
}
