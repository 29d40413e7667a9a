//! The keeper as a real process, and everything that can happen to it.

mod spawning;
#[expect(dead_code, reason = "the tests of ends, logs and hand-overs use the rest")]
mod support;
