//! A wall clock that is wrong, for one host alone.
//!
//! No namespace has a wall clock of its own (a time namespace moves the clocks that count from the boot), and the
//! machine's is left alone. But `mesh` as it is built for tests asks the C library for the time, and a library that is
//! loaded before it answers instead.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where the library is told how many seconds to add.
pub const AHEAD: &str = "CLOCK_AHEAD";
/// The library. Every other clock is passed on as it is.
const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    const char *ahead = getenv("CLOCK_AHEAD");
    if (result == 0 && clock == CLOCK_REALTIME && ahead) now->tv_sec += atol(ahead);
    return result;
}
"#;

/// Where the library is.
pub fn library() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clock.so")
}

/// Builds it, with the compiler that Rust links with.
pub fn build() {
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"]).arg(library()).stdin(Stdio::piped());
    let mut compiling = cc.spawn().unwrap();
    compiling.stdin.take().unwrap().write_all(SOURCE.as_bytes()).unwrap();
    assert!(compiling.wait().unwrap().success());
}
