//! Stamp: when the kernel had what is read from a connection, which is earlier than it is read by a thread that had to wait
//! for its core (`socket(7)`, `SO_TIMESTAMPNS`).

#![expect(unsafe_code, reason = "nothing safe hands out the time that comes with a message")]

use std::io;
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::{Duration, SystemTime};

/// Room for one time and its header, aligned as these are.
type Control = [u64; 16];

/// Has the kernel say it from now on.
pub fn ask(stream: &TcpStream) -> io::Result<()> {
    let on: libc::c_int = 1;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: a value that lives here, and its size.
    let set = unsafe {
        let value = (&raw const on).cast();
        libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, value, length)
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// One read, and how long ago the kernel had it; no time at all, where it wasn't asked.
pub fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<(usize, Duration)> {
    let mut control: Control = [0; 16];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut message = MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: all zeros is a message of nothing; what it points to outlives the call, and the lengths are theirs.
    let (bytes, message) = unsafe {
        let header = message.assume_init_mut();
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = size_of::<Control>();
        (libc::recvmsg(stream.as_raw_fd(), header, 0), message.assume_init())
    };
    let bytes = usize::try_from(bytes).map_err(|_| io::Error::last_os_error())?;
    let stamp = arrived(&message).and_then(|at| SystemTime::now().duration_since(at).ok());
    Ok((bytes, stamp.unwrap_or_default()))
}

/// The time that came with a message.
fn arrived(message: &libc::msghdr) -> Option<SystemTime> {
    // SAFETY: the kernel has filled the message, and its control bytes are still there; a time is copied from where the
    // header says that one is.
    let time = unsafe {
        let header = libc::CMSG_FIRSTHDR(message).as_ref()?;
        if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
            return None;
        }
        ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::timespec>())
    };
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + Duration::from_nanos(u64::try_from(time.tv_nsec).ok()?))
}
