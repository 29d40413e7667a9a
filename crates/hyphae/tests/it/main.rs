//! Overlays over real sockets on loopback: what a node relies on, and what it must survive.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod close;
mod garbage;
mod gate;
mod identity;
mod legacy;
mod messages;
mod moved;
mod outside;
mod pressure;
mod reach;
mod restart;
mod rogue;
mod streams;
mod support;
