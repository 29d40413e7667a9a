//! Who is at the other end of the socket: only the same user, or root, is talked to.

#![expect(unsafe_code, reason = "the safe binding can't hold a peer whose pid is not visible here")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An error unless the peer is this process' user or root.
pub(crate) fn check(socket: BorrowedFd<'_>) -> io::Result<()> {
    let uid = user(socket)?;
    if uid == 0 || uid == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("the peer is user {uid}")))
}

fn user(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let mut peer = MaybeUninit::<libc::ucred>::zeroed();
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(io::Error::other)?;
    // SAFETY: the kernel writes at most `size` bytes, the size of what `peer` holds.
    let result = unsafe {
        let option = peer.as_mut_ptr().cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, option, &raw mut size)
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a plain record of integers, all zero before the call.
    Ok(unsafe { peer.assume_init() }.uid)
}
