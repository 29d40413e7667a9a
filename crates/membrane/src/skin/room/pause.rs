//! Process 1 of a room: it waits, and the kernel ends everybody in the room with it.
//!
//! A program of one page, so that it costs next to nothing and holds nothing of ours: it stays while the replica runs,
//! and whoever loses its parent in the room becomes its child. It ignores `SIGCHLD`, so the kernel reaps them.

use std::io::{self, Write as _};
use std::os::fd::OwnedFd;

use rustix::fs::MemfdFlags;

/// Where the program is loaded, beginning with its own headers.
const BASE: u64 = 0x40_0000;
/// The lengths of an ELF header and of one program header.
const HEADERS: (u16, u16) = (64, 56);

/// `for (;;) pause();`
#[cfg(target_arch = "x86_64")]
const WAIT: (u16, &[u8]) = (62, &[0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7]);
/// `for (;;) ppoll(0, 0, 0, 0);`
#[cfg(target_arch = "aarch64")]
const WAIT: (u16, &[u8]) = (
    183,
    &[
        0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x80, 0xd2, 0x02, 0x00, 0x80, 0xd2, 0x03, 0x00, 0x80, 0xd2, 0x28,
        0x09, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xfa, 0xff, 0xff, 0x17,
    ],
);

/// `_exit(0);`, for a room that is only tried.
#[cfg(target_arch = "x86_64")]
const LEAVE: (u16, &[u8]) = (62, &[0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05]);
/// As above.
#[cfg(target_arch = "aarch64")]
const LEAVE: (u16, &[u8]) = (183, &[0x00, 0x00, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]);

/// The program that waits.
pub(super) fn wait() -> io::Result<OwnedFd> {
    program(WAIT)
}

/// One that ends at once, and well.
pub(super) fn leave() -> io::Result<OwnedFd> {
    program(LEAVE)
}

/// A program, ready to be executed.
fn program(code: (u16, &[u8])) -> io::Result<OwnedFd> {
    // Kernels before 6.3 don't know the flag, and need none.
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create("mesh-room", flags | MemfdFlags::EXEC)
        .or_else(|_| rustix::fs::memfd_create("mesh-room", flags))?;
    let mut file = std::fs::File::from(fd);
    file.write_all(&image(code))?;
    // A file that somebody may write to can't be executed.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    Ok(std::fs::File::open(path)?.into())
}

/// A static ELF executable (`elf(5)`): one segment, which is the whole file.
fn image((machine, code): (u16, &[u8])) -> Vec<u8> {
    let (header, segment) = HEADERS;
    let begin = u64::from(header + segment);
    let mut bytes = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let halves = |bytes: &mut Vec<u8>, list: &[u16]| list.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    halves(&mut bytes, &[2, machine]); // an executable
    bytes.extend(1_u32.to_le_bytes());
    for address in [BASE + begin, u64::from(header), 0] {
        bytes.extend(address.to_le_bytes()); // entry, program headers, no sections
    }
    bytes.extend(0_u32.to_le_bytes());
    halves(&mut bytes, &[header, segment, 1, 0, 0, 0]);
    bytes.extend(1_u32.to_le_bytes()); // PT_LOAD
    bytes.extend(5_u32.to_le_bytes()); // to be read and executed
    let size = begin + code.len() as u64;
    for number in [0, BASE, BASE, size, size, 0x1000] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(code);
    bytes
}
