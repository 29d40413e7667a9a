//! A ring that programs write into and one process reads (`Documentation/bpf/ringbuf.rst`).

#![expect(unsafe_code, reason = "the ring is memory that the kernel writes into")]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::sys::Map;

/// Of a record's length: it is still being written; it is to be passed over.
const BUSY: u32 = 1 << 31;
const DISCARD: u32 = 1 << 30;
/// The length itself and something about pages, before each record.
const HEADER: u64 = 8;

/// The reading end. There must be one reader: of two, each would hear a part.
#[derive(Debug)]
pub(super) struct Ring {
    map: Map,
    /// One page: how far was read, which we write.
    read: *mut c_void,
    /// One page: how far was written; then the data, twice, so that no record is torn.
    written: *mut c_void,
    page: usize,
    size: usize,
}

// SAFETY: the mappings belong to it alone, and nothing in them is bound to a thread.
unsafe impl Send for Ring {}
// SAFETY: what is shared by reference only compares two atomic numbers.
unsafe impl Sync for Ring {}

impl Ring {
    /// Opens it, and waits for it with the runtime that we are in.
    pub fn open(map: Map) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the descriptor is the map's, which is the ring's own for as long as it lives.
        unsafe { AsyncFd::register_with_interest(Self::mapped(map)?, Interest::READABLE) }.map_err(Into::into)
    }

    fn mapped(map: Map) -> io::Result<Self> {
        let size = map.info()?.max_entries as usize;
        let page = rustix::param::page_size();
        let mapped = |len, protection, offset: usize| {
            // SAFETY: a new mapping, wherever there is room.
            unsafe {
                rustix::mm::mmap(
                    ptr::null_mut(),
                    len,
                    protection,
                    MapFlags::SHARED,
                    map.as_fd(),
                    offset as u64,
                )
            }
        };
        let read = mapped(page, ProtFlags::READ | ProtFlags::WRITE, 0)?;
        match mapped(page + 2 * size, ProtFlags::READ, page) {
            Ok(written) => Ok(Self { read, written, page, size, map }),
            Err(error) => {
                // SAFETY: mapped above, and used by nobody.
                let _ = unsafe { rustix::mm::munmap(read, page) };
                Err(error.into())
            }
        }
    }

    fn positions(&self) -> (&AtomicU64, &AtomicU64) {
        // SAFETY: each stands at the begin of a page that stays mapped as long as we are here, and is only ever touched
        // as an atomic, here and in the kernel.
        unsafe { (&*self.read.cast::<AtomicU64>(), &*self.written.cast::<AtomicU64>()) }
    }

    /// Hands over what is there, at most `most` records; how many they were.
    pub fn drain(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> usize {
        let (read, written) = self.positions();
        let (mut at, end) = (read.load(Ordering::Relaxed), written.load(Ordering::Acquire));
        if at > end || end - at > self.size as u64 {
            // Another reader was here.
            at = end;
        }
        let mut count = 0;
        while at < end && count < most {
            let offset = (at % self.size as u64) as usize;
            // SAFETY: within the data, which is mapped twice; the kernel sets the length last, as an atomic.
            let header = unsafe { &*self.written.byte_add(self.page + offset).cast::<AtomicU32>() };
            let header = header.load(Ordering::Acquire);
            if header & BUSY != 0 {
                break;
            }
            let len = u64::from(header & !DISCARD);
            let next = at + (HEADER + len).next_multiple_of(8);
            if next > end {
                at = end;
                break;
            }
            if header & DISCARD == 0 {
                let data = self.page + offset + HEADER as usize;
                // SAFETY: the record lies before `end`, so in the data and its double; the kernel writes there only after
                // we have said that we have read it.
                each(unsafe {
                    std::slice::from_raw_parts(self.written.byte_add(data).cast::<u8>(), len as usize)
                });
                count += 1;
            }
            at = next;
        }
        read.store(at, Ordering::Release);
        count
    }
}

impl AsFd for Ring {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        self.map.as_fd().as_raw_fd()
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `open` with these lengths; nothing refers to them any more.
        unsafe {
            let _ = rustix::mm::munmap(self.read, self.page);
            let _ = rustix::mm::munmap(self.written, self.page + 2 * self.size);
        }
    }
}
