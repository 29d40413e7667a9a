//! Whose threads go first when they wake.
//!
//! The kernel's scheduler (EEVDF) runs those that haven't had their share in the order of their deadlines, and a deadline
//! is as near as the turn that a thread asks for is short. So one that asks for short turns interrupts one that doesn't, and
//! has no more of the CPU for it. Without that, whoever wakes while another runs may wait for the next tick, 4 ms.

#![expect(unsafe_code, reason = "nothing safe knows these calls")]

use std::mem::MaybeUninit;

/// The shortest turn that the kernel gives, in nanoseconds.
const SHORT: u64 = 100_000;
/// As long as any.
const USUAL: u64 = 0;

/// `struct sched_attr` of `sched_setattr(2)`, as far as every kernel knows it.
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Changes the turns of one thread, and nothing else of it. Those that it makes have the same. One that has ended
/// meanwhile, or is scheduled otherwise, is left alone, as is any by a kernel that can't.
pub(super) fn set(thread: i32, first: bool) {
    let Some(mut attributes) = get(thread) else { return };
    let fair = [libc::SCHED_OTHER, libc::SCHED_BATCH].map(i32::cast_unsigned);
    if fair.contains(&attributes.policy) {
        attributes.runtime = if first { SHORT } else { USUAL };
        // SAFETY: the kernel reads as many bytes as the structure says that it has.
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const attributes, 0) };
    }
}

fn get(thread: i32) -> Option<Attributes> {
    let mut attributes = MaybeUninit::<Attributes>::zeroed();
    // SAFETY: the kernel writes at most so many bytes, of a structure in which all zeros are valid.
    unsafe {
        let (at, size) = (attributes.as_mut_ptr(), size_of::<Attributes>());
        (libc::syscall(libc::SYS_sched_getattr, thread, at, size, 0) == 0).then(|| attributes.assume_init())
    }
}

/// The turn that a thread asks for; `None` where the kernel knows nothing of it.
#[cfg(test)]
pub(super) fn turn(thread: i32) -> Option<u64> {
    get(thread).map(|attributes| attributes.runtime).filter(|turn| *turn > 0)
}
