//! Any bytes as a message of a peer: what reads has one form, and nothing that nobody signed is stored.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| fabric::net::fuzzing::message(data));
