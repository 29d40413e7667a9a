//! The edge on real sockets: one binary for all integration tests.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should end there")]

mod bodies;
mod drain;
mod far;
mod hold;
mod http2;
mod limits;
mod panics;
mod reach;
mod retry;
mod route;
mod stop;
mod strict;
mod support;
mod tls;
mod trace;
mod tunnel;
