//! Workloads that want more than they should have. Each is bounded by itself as well, should a limit not hold.

#![expect(unsafe_code, reason = "a bomb is made of forks")]

use std::io::Write;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit};

/// After so many seconds everything ends.
const LIFE: u32 = 120;
const MIB: usize = 1 << 20;
/// What no one process takes, limited or not.
const MOST: u64 = 1 << 30;

pub fn run(args: &[String]) -> ExitCode {
    // SAFETY: it only ends this process, in a while.
    unsafe { libc::alarm(LIFE) };
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["memory", mib] => memory(mib.parse().unwrap()),
        ["bomb", most] => bomb(most.parse().unwrap()),
        ["tree", count] => tree(count.parse().unwrap()),
        ["flood", mib] => flood(mib.parse().unwrap()),
        ["burn"] => loop {
            std::hint::black_box(0);
        },
        _ => return ExitCode::from(64),
    }
    ExitCode::SUCCESS
}

/// Takes memory, with a child beside it that does nothing wrong.
fn memory(mib: usize) {
    let most = Some(MOST);
    rustix::process::setrlimit(Resource::As, Rlimit { current: most, maximum: most }).unwrap();
    fork_waiting();
    let all: Vec<Vec<u8>> = (0..mib).map(|_| std::hint::black_box(vec![1; MIB])).collect();
    say(&format!("has {}", all.len()));
    wait();
}

/// Processes that make processes, as fast as they can, until there are `most`: as many as there are below one of them is
/// counted in memory that they share.
fn bomb(most: usize) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    assert!(most <= 4000);
    // SAFETY: fresh memory, all zeros, which is a valid counter, never unmapped.
    let made = unsafe {
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
        let size = size_of::<AtomicUsize>();
        let flags = ProtFlags::READ | ProtFlags::WRITE;
        let at = mmap_anonymous(std::ptr::null_mut(), size, flags, MapFlags::SHARED).unwrap();
        &*at.cast::<AtomicUsize>()
    };
    while made.fetch_add(1, Ordering::Relaxed) < most {
        // SAFETY: parent and child go on alike, in system calls.
        unsafe {
            libc::fork();
            libc::alarm(LIFE);
        }
    }
    wait();
}

/// So many processes beside this one.
fn tree(count: usize) {
    assert!(count <= 2000);
    let made = (0..count).take_while(|_| fork_waiting()).count();
    say(&format!("made {made}"));
    wait();
}

/// So much output, in lines.
fn flood(mib: usize) {
    let line = [b'x'; 1023];
    let mut stdout = std::io::stdout().lock();
    for _ in 0..mib * 1024 {
        stdout.write_all(&line).unwrap();
        stdout.write_all(b"\n").unwrap();
    }
}

fn say(text: &str) {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{text}").unwrap();
    stdout.flush().unwrap();
}

fn wait() {
    loop {
        // SAFETY: only waits.
        unsafe { libc::pause() };
    }
}

fn fork_waiting() -> bool {
    // SAFETY: the child only waits for its end, in system calls.
    unsafe {
        match libc::fork() {
            0 => {
                libc::alarm(LIFE);
                loop {
                    libc::pause();
                }
            }
            pid => pid > 0,
        }
    }
}
