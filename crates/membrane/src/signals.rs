//! The keeper's own signals: blocked and read from a descriptor, all others at their default.

#![expect(unsafe_code, reason = "signalfd and sigaction have no safe binding here")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use libc::c_int;

/// What the keeper acts upon.
const WATCHED: [c_int; 4] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGQUIT];

/// The kernel's `sigaction` (handler, flags, restorer, mask) for "the default, nothing else".
const DEFAULT: [u64; 4] = [0; 4];

/// A descriptor that is readable when a child changed or the keeper is asked to end. From here on
/// a hang-up and a closed pipe are ignored, everything else has its default effect.
pub(crate) fn watch() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the set is initialised before it is read. Dispositions set to the default or to "ignore"
    // run no code of ours. SIGSEGV and SIGBUS stay the runtime's, for its message on a stack overflow.
    let fd = unsafe {
        for signal in 1..=64 {
            if !matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
                // not through libc, which keeps 32 and 33 to itself: its posix_spawn leaves them ignored
                libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), 0, size_of::<u64>());
            }
        }
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        libc::sigemptyset(set.as_mut_ptr());
        for signal in WATCHED {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        // Blocked rather than ignored, since an ignored signal stays ignored in every workload.
        libc::sigaddset(set.as_mut_ptr(), libc::SIGHUP);
        libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut());
        libc::sigdelset(set.as_mut_ptr(), libc::SIGHUP);
        libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a descriptor the kernel has just given us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Empties the descriptor; true when one of the signals asks the keeper to end.
pub(crate) fn drain(signals: &OwnedFd) -> bool {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    let mut buffer = [0; 16 * SIZE];
    let mut end = false;
    while let Ok(count @ 1..) = rustix::io::read(signals, &mut buffer) {
        for info in buffer[..count].chunks_exact(SIZE) {
            // ssi_signo is the first field
            let number = info.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
            end |= number != libc::SIGCHLD.cast_unsigned();
        }
    }
    end
}
